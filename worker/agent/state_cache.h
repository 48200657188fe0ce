#ifndef TERN_WORKER_AGENT_STATE_CACHE_H_
#define TERN_WORKER_AGENT_STATE_CACHE_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tern/worker/v1/worker_service.pb.h"
#include "worker/quant/calibration_state.h"

namespace tern {

// The calibration state kept between the blocks of a shard: one at most, as it is by far the
// largest thing a worker holds. Thread-safe.
class StateCache {
 public:
  // Hands over the state standing before `block` of the shard, if it is held. Whatever else is
  // held is dropped: the caller is about to need its memory.
  std::optional<CalibrationState> Take(const std::string& job_uid, int32_t shard, int64_t block);

  void Put(const std::string& job_uid, int32_t shard, CalibrationState state);
  void Clear();

  // As the server is told.
  std::vector<tern::worker::v1::WarmShard> Warm() const;

 private:
  struct Held {
    std::string job_uid;
    int32_t shard;
    CalibrationState state;
  };

  mutable std::mutex mutex_;
  std::optional<Held> held_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_STATE_CACHE_H_
