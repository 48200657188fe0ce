#include "worker/agent/weights_ahead.h"

#include <optional>
#include <utility>

#include "checkpoint/status_macros.h"

namespace tern {

void WeightsAhead::Start(std::shared_ptr<const ModelFolder> model, int64_t block) {
  UploadLane* const lane = backend_.upload_lane();
  if (lane == nullptr) return;
  const std::lock_guard lock(mutex_);
  // The block before may not have been taken yet; nothing else will be.
  std::erase_if(readings_, [&](const auto& reading) {
    return reading.second.model != model || reading.first < block - 1 || reading.first > block;
  });
  if (readings_.contains(block)) return;
  const ElementType type = backend_.activation_type();
  auto weights = std::async(std::launch::async, [this, lane, type, model, block] {
    const std::lock_guard one_at_a_time(lane_mutex_);
    return LoadBlockAhead(*lane, type, *model, block);
  });
  readings_.emplace(block, Reading{std::move(model), std::move(weights)});
}

void WeightsAhead::KeepOnly(const std::shared_ptr<const ModelFolder>& model, int64_t block) {
  const std::lock_guard lock(mutex_);
  std::erase_if(readings_, [&](const auto& reading) {
    return reading.second.model != model || reading.first != block;
  });
}

absl::StatusOr<BlockWeights> WeightsAhead::Take(const std::shared_ptr<const ModelFolder>& model,
                                                int64_t block) {
  std::optional<Reading> reading;
  {
    const std::lock_guard lock(mutex_);
    if (const auto begun = readings_.find(block); begun != readings_.end()) {
      reading = std::move(begun->second);
      readings_.erase(begun);
    }
  }
  if (!reading.has_value() || reading->model != model) return LoadBlock(backend_, *model, block);
  absl::StatusOr<BlockWeights> weights = reading->weights.get();
  // There was no room beside the block before, which is done now.
  if (absl::IsResourceExhausted(weights.status())) return LoadBlock(backend_, *model, block);
  TERN_RETURN_IF_ERROR(weights.status());
  TERN_RETURN_IF_ERROR(UseAsActivations(backend_, *weights));
  return weights;
}

void WeightsAhead::Drop() {
  std::map<int64_t, Reading> dropped;  // ends after the lock does
  const std::lock_guard lock(mutex_);
  dropped.swap(readings_);
}

}  // namespace tern
