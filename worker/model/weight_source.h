#ifndef TERN_WORKER_MODEL_WEIGHT_SOURCE_H_
#define TERN_WORKER_MODEL_WEIGHT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/block_file.h"
#include "checkpoint/low_bit_activations.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/safetensors_reader.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"

namespace tern {

// Where the weights of a model come from as its forward pass asks for them.
//
// Thread-compatible.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual const ModelConfig& config() const = 0;
  virtual absl::StatusOr<BlockWeights> Block(Backend& backend, int64_t block) const = 0;
  // A tensor outside the blocks; the view lives as long as the source.
  virtual absl::StatusOr<TensorView> Outer(absl::string_view name) const = 0;
};

// The ternary layers of a block, all seven.
using LayerSource = std::function<absl::StatusOr<BlockLayers>(int64_t block)>;

// The full-precision model. `model` must outlive the source.
std::unique_ptr<WeightSource> FullPrecisionWeights(const ModelFolder& model);

// The same with the linear layers of its blocks from `layers`, which is called for each block as
// often as that block is asked for. With `activations`, one entry a block, the layers are in
// low-bit form; without, their inputs are 16-bit, and rotations folded into the weights.
std::unique_ptr<WeightSource> QuantizedWeights(const ModelFolder& model, LayerSource layers,
                                               std::vector<BlockActivations> activations = {});

// A packed checkpoint, which must outlive the source, with the activations it is made for.
absl::StatusOr<std::unique_ptr<WeightSource>> PackedWeights(const PackedCheckpoint& checkpoint);

}  // namespace tern

#endif  // TERN_WORKER_MODEL_WEIGHT_SOURCE_H_
