#ifndef TERN_WORKER_AGENT_LAYERS_AHEAD_H_
#define TERN_WORKER_AGENT_LAYERS_AHEAD_H_

#include <cstdint>
#include <future>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "checkpoint/block_file.h"
#include "worker/model/weight_source.h"

namespace tern {

// Reads and verifies the layers of the block that is needed next while the backend works on the one
// before it. Thread-compatible.
class LayersAhead {
 public:
  // `read` is called by one thread at a time, which may be another than the owner's.
  explicit LayersAhead(LayerSource read) : read_(std::move(read)) {}

  // Begins to read a block; what was begun before is waited for and let go, unless it is the same.
  void Start(int64_t block);

  // The block's layers: waits for them where they are being read, and else reads them.
  absl::StatusOr<BlockLayers> Take(int64_t block);

 private:
  struct Reading {
    int64_t block;
    std::future<absl::StatusOr<BlockLayers>> layers;  // its destructor waits
  };

  const LayerSource read_;
  std::optional<Reading> reading_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_LAYERS_AHEAD_H_
