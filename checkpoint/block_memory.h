#ifndef TERN_CHECKPOINT_BLOCK_MEMORY_H_
#define TERN_CHECKPOINT_BLOCK_MEMORY_H_

#include <cstdint>

#include "checkpoint/model_config.h"

namespace tern {

// How a worker computes: what its memory depends on beside the model.
struct ComputeLayout {
  int64_t activation_bytes;  // of one activation, and of one linear weight in the forward pass
  int64_t batch_tokens;      // that pass a block at a time, at least one window
  bool own_memory;           // the device's own: weights are copied there, the next block's ahead
};
// Enough rows for the products to reach their rate.
inline constexpr ComputeLayout kCpuLayout = {
    .activation_bytes = 4, .batch_tokens = 4096, .own_memory = false};
// Products of this many rows reach their rate, and a batch's activations of a 7B model take about a
// gigabyte.
inline constexpr ComputeLayout kCudaLayout = {
    .activation_bytes = 2, .batch_tokens = 16384, .own_memory = true};

struct CalibrationSize {
  int64_t tokens;
  int64_t window_length;
  bool both_streams;     // quantized and full precision
  bool rotated = false;  // moments are there in rotated space too
};

// Bytes that quantizing a block takes at its peak.
struct BlockMemory {
  int64_t states;   // hidden states and attention outputs of all tokens: a device that has too
                    // little memory of its own leaves them in the host's
  int64_t besides;  // weights as they are and as quantized, second moments, factors, a batch

  int64_t total() const { return states + besides; }
};
BlockMemory QuantizeMemory(const ModelConfig& config, const CalibrationSize& calibration,
                           const ComputeLayout& layout);

// Activations of one batch on its way through a block.
int64_t BatchMemory(const ModelConfig& config, int64_t window_length, const ComputeLayout& layout);

}  // namespace tern

#endif  // TERN_CHECKPOINT_BLOCK_MEMORY_H_
