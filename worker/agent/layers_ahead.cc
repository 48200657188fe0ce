#include "worker/agent/layers_ahead.h"

namespace tern {

void LayersAhead::Start(int64_t block) {
  if (reading_.has_value() && reading_->block == block) return;
  reading_.reset();
  reading_ = Reading{block, std::async(std::launch::async, [this, block] { return read_(block); })};
}

absl::StatusOr<BlockLayers> LayersAhead::Take(int64_t block) {
  std::optional<Reading> begun = std::exchange(reading_, std::nullopt);
  if (begun.has_value() && begun->block == block) return begun->layers.get();
  begun.reset();  // one reads at a time
  return read_(block);
}

}  // namespace tern
