#ifndef TERN_WORKER_AGENT_BLOCK_AHEAD_H_
#define TERN_WORKER_AGENT_BLOCK_AHEAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "tern/worker/v1/worker_service.pb.h"
#include "worker/agent/task_progress.h"
#include "worker/quant/block_quantizer.h"
#include "worker/quant/calibration_state.h"

namespace tern {

// A block quantized but not yet stored, and the calibration state behind it.
struct ComputedBlock {
  QuantizedBlock quantized;
  CalibrationState state;
  std::map<std::string, double> seconds;  // beside those in quantized.metrics
};

// Quantizes a shard's next block while the one before it is being stored, before the server has
// asked for it: the shard's next task most likely comes to the worker that holds its state. Where
// it does not, or another task comes first, the work is dropped; the bits of a block never depend
// on who computed it.
//
// Where what the next block needs is not there yet, its calibration state alone is held for it.
//
// One block at a time. Nobody else may use the backend between Start and Take or Drop.
// Thread-compatible, but for Warm, which is thread-safe.
class BlockAhead {
 public:
  struct Key {
    std::string job_uid;
    int32_t shard;
    int64_t block;

    bool operator==(const Key&) const = default;
  };
  // CANCELLED soon after the progress is stopped.
  using Compute = std::function<absl::StatusOr<ComputedBlock>(TaskProgress& progress)>;

  BlockAhead();
  ~BlockAhead();

  void Start(Key key, Compute compute);

  // Keeps the state before the block with this key.
  void Hold(Key key, CalibrationState state);

  // Waits for the block with this key and hands it over; nothing when no such block was started,
  // and then whatever was is dropped. Meanwhile `progress` shows how far it is, and stopping
  // `progress` stops it. A state held for that block stays.
  std::optional<absl::StatusOr<ComputedBlock>> Take(const Key& key, TaskProgress& progress);

  // Hands over the state held for the block with this key; nothing when it is not.
  std::optional<CalibrationState> TakeState(const Key& key);

  // Stops the work and waits for its end; lets go of a state.
  void Drop();
  // The same unless a state alone is held, of which nobody makes use meanwhile.
  void StopWork();

  // As the server is told: the shard whose state is held.
  std::vector<tern::worker::v1::WarmShard> Warm() const;

 private:
  struct Work;

  void Keep(std::unique_ptr<Work> work);

  std::unique_ptr<Work> work_;  // changed by the owner's thread alone, under the mutex
  mutable std::mutex mutex_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_BLOCK_AHEAD_H_
