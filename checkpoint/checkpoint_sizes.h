#ifndef TERN_CHECKPOINT_CHECKPOINT_SIZES_H_
#define TERN_CHECKPOINT_CHECKPOINT_SIZES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/packed_checkpoint.h"

namespace tern {

// Sizes as they are on disk: bytes of tensors, without file headers.
struct LayerSize {
  std::string name;
  int64_t rows, cols;
  int64_t bytes;
  double bits_per_weight;  // bytes · 8 / (rows · cols)
};
struct CheckpointSizes {
  std::vector<LayerSize> layers;               // by block, in the order of quantization
  std::map<std::string, int64_t> unquantized;  // tensor -> bytes
  int64_t quantized_weights = 0, quantized_bytes = 0;
  int64_t unquantized_weights = 0, unquantized_bytes = 0;
  int64_t rotation_bytes = 0;            // of the quantized ones, those of rotations' factors
  double quantized_bits_per_weight = 0;  // quantized layers alone
  double rotation_bits_per_weight = 0;   // of these, the rotations' share
  double model_bits_per_weight = 0;      // all tensor bytes · 8 / all weights
};
absl::StatusOr<CheckpointSizes> MeasureSizes(const PackedCheckpoint& checkpoint);

}  // namespace tern

#endif  // TERN_CHECKPOINT_CHECKPOINT_SIZES_H_
