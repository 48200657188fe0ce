#ifndef TERN_WORKER_AGENT_WEIGHTS_AHEAD_H_
#define TERN_WORKER_AGENT_WEIGHTS_AHEAD_H_

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "checkpoint/model_folder.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"

namespace tern {

// Brings the weights of blocks that come next to the device while others are computed. Where the
// device has no memory of its own nothing is read ahead: the weights are in the page cache or will
// be read as fast when they are asked for. Thread-safe.
class WeightsAhead {
 public:
  // The backend must outlive this.
  explicit WeightsAhead(Backend& backend) : backend_(backend) {}
  ~WeightsAhead() { Drop(); }

  // Begins to read a block, unless that was begun already; the model's block before it may still be
  // waiting to be taken, and everything else is dropped.
  void Start(std::shared_ptr<const ModelFolder> model, int64_t block);

  // Drops everything but this block.
  void KeepOnly(const std::shared_ptr<const ModelFolder>& model, int64_t block);

  // The block's weights: waits for them where they are being read, and else reads them. Called by
  // the thread that uses the backend.
  absl::StatusOr<BlockWeights> Take(const std::shared_ptr<const ModelFolder>& model, int64_t block);

  // Lets go of what was not taken, once it is read.
  void Drop();

 private:
  struct Reading {
    std::shared_ptr<const ModelFolder> model;
    std::future<absl::StatusOr<BlockWeights>> weights;  // its destructor waits
  };

  Backend& backend_;
  std::mutex lane_mutex_;  // one upload at a time
  std::mutex mutex_;
  std::map<int64_t, Reading> readings_;  // by block; guarded by mutex_
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_WEIGHTS_AHEAD_H_
