#include "worker/agent/state_cache.h"

#include <utility>

namespace tern {

std::optional<CalibrationState> StateCache::Take(const std::string& job_uid, int32_t shard,
                                                 int64_t block) {
  const std::lock_guard lock(mutex_);
  std::optional<Held> held = std::exchange(held_, std::nullopt);
  const bool wanted = held.has_value() && held->job_uid == job_uid && held->shard == shard &&
                      held->state.next_block == block;
  if (!wanted) return std::nullopt;
  return std::move(held->state);
}

void StateCache::Put(const std::string& job_uid, int32_t shard, CalibrationState state) {
  const std::lock_guard lock(mutex_);
  held_ = Held{job_uid, shard, std::move(state)};
}

void StateCache::Clear() {
  const std::lock_guard lock(mutex_);
  held_.reset();
}

std::vector<tern::worker::v1::WarmShard> StateCache::Warm() const {
  const std::lock_guard lock(mutex_);
  if (!held_.has_value()) return {};
  tern::worker::v1::WarmShard warm;
  warm.set_job_uid(held_->job_uid);
  warm.set_shard(held_->shard);
  warm.set_next_block(static_cast<int32_t>(held_->state.next_block));
  return {warm};
}

}  // namespace tern
