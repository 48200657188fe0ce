#include "checkpoint/checkpoint_sizes.h"

#include <memory>

#include "checkpoint/block_file.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

double BitsPerWeight(int64_t bytes, int64_t weights) {
  return weights == 0 ? 0 : static_cast<double>(bytes) * 8 / static_cast<double>(weights);
}

absl::Status AddLayer(const SafetensorsReader& file, const std::string& name,
                      const LinearShape& shape, const PackedFormat& format,
                      CheckpointSizes& sizes) {
  LayerSize layer{name, shape.rows, shape.cols, 0, 0};
  for (const std::string& part : LayerTensors(name, format.parts())) {
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, file.Get(part));
    layer.bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  for (const std::string& factor : RotationTensors(name, format.parts())) {
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, file.Get(factor));
    sizes.rotation_bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  const int64_t weights = shape.rows * shape.cols;
  layer.bits_per_weight = BitsPerWeight(layer.bytes, weights);
  sizes.quantized_weights += weights;
  sizes.quantized_bytes += layer.bytes;
  sizes.layers.push_back(std::move(layer));
  return absl::OkStatus();
}

absl::Status AddUnquantized(const SafetensorsReader& file,
                            const std::vector<ExpectedTensor>& tensors, CheckpointSizes& sizes) {
  for (const ExpectedTensor& expected : tensors) {
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, file.Get(expected.name));
    const int64_t bytes = static_cast<int64_t>(tensor.bytes.size());
    sizes.unquantized[expected.name] = bytes;
    sizes.unquantized_weights += tensor.elements();
    sizes.unquantized_bytes += bytes;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckpointSizes> MeasureSizes(const PackedCheckpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  CheckpointSizes sizes;
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsReader> file,
                          checkpoint.OpenBlock(block));
    for (const LinearKind kind : LinearKinds()) {
      TERN_RETURN_IF_ERROR(AddLayer(*file, LinearName(block, kind), ShapeOf(config, kind),
                                    checkpoint.format(), sizes));
    }
    TERN_RETURN_IF_ERROR(AddUnquantized(*file, UnquantizedBlockTensors(config, block), sizes));
  }
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsReader> outer,
                        checkpoint.OpenUnquantized());
  TERN_RETURN_IF_ERROR(AddUnquantized(*outer, OuterTensors(config), sizes));
  sizes.rotation_bits_per_weight = BitsPerWeight(sizes.rotation_bytes, sizes.quantized_weights);
  sizes.quantized_bits_per_weight = BitsPerWeight(sizes.quantized_bytes, sizes.quantized_weights);
  sizes.model_bits_per_weight = BitsPerWeight(sizes.quantized_bytes + sizes.unquantized_bytes,
                                              sizes.quantized_weights + sizes.unquantized_weights);
  return sizes;
}

}  // namespace tern
