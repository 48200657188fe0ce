#include "worker/agent/block_ahead.h"

#include <chrono>
#include <future>
#include <utility>

namespace tern {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(50);

}  // namespace

struct BlockAhead::Work {
  Key key;
  std::optional<CalibrationState> held = {};  // and then there is no result
  TaskProgress progress = {};
  std::future<absl::StatusOr<ComputedBlock>> result = {};  // its destructor waits
};

BlockAhead::BlockAhead() = default;

BlockAhead::~BlockAhead() { Drop(); }

void BlockAhead::Start(Key key, Compute compute) {
  Drop();
  auto work = std::make_unique<Work>();
  work->key = std::move(key);
  work->result = std::async(
      std::launch::async,
      [compute = std::move(compute), &progress = work->progress] { return compute(progress); });
  Keep(std::move(work));
}

void BlockAhead::Hold(Key key, CalibrationState state) {
  Drop();
  auto work = std::make_unique<Work>();
  work->key = std::move(key);
  work->held = std::move(state);
  Keep(std::move(work));
}

void BlockAhead::Keep(std::unique_ptr<Work> work) {
  const std::lock_guard lock(mutex_);
  work_ = std::move(work);
}

std::optional<CalibrationState> BlockAhead::TakeState(const Key& key) {
  if (work_ == nullptr || work_->key != key || !work_->held.has_value()) return std::nullopt;
  std::optional<CalibrationState> state = std::move(work_->held);
  Drop();
  return state;
}

std::optional<absl::StatusOr<ComputedBlock>> BlockAhead::Take(const Key& key,
                                                              TaskProgress& progress) {
  if (work_ == nullptr || work_->key != key) {
    Drop();
    return std::nullopt;
  }
  if (work_->held.has_value()) return std::nullopt;
  while (work_->result.wait_for(kProgressInterval) != std::future_status::ready) {
    if (progress.stopped()) work_->progress.Stop();
    const TaskProgress::Snapshot snapshot = work_->progress.snapshot();
    progress.Show(snapshot.stage, snapshot.fraction);
  }
  auto result = std::move(work_->result);
  Drop();  // before get, which throws what the work threw
  return result.get();
}

void BlockAhead::Drop() {
  std::unique_ptr<Work> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped = std::move(work_);
  }
  if (dropped != nullptr) dropped->progress.Stop();
}

void BlockAhead::StopWork() {
  if (work_ != nullptr && !work_->held.has_value()) Drop();
}

std::vector<tern::worker::v1::WarmShard> BlockAhead::Warm() const {
  const std::lock_guard lock(mutex_);
  if (work_ == nullptr) return {};
  tern::worker::v1::WarmShard warm;
  warm.set_job_uid(work_->key.job_uid);
  warm.set_shard(work_->key.shard);
  warm.set_next_block(static_cast<int32_t>(work_->key.block));
  return {warm};
}

}  // namespace tern
