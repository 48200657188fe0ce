#include "checkpoint/block_memory.h"

#include <algorithm>

#include "checkpoint/model_layout.h"

namespace tern {
namespace {

constexpr int64_t kFloatBytes = 4;

// m × m: both moments, the inverse, two downdates, and what inverting and compensating take.
constexpr int64_t kMatrices = 6;
// Both moments in rotated space.
constexpr int64_t kMatricesOfARotation = 2;
// n × m, where the weights are on a device: a layer's weight as it is, without dead inputs, twice
// as compensated, as stored, and its error.
constexpr int64_t kWeightsOfALayer = 6;

}  // namespace

int64_t BatchMemory(const ModelConfig& config, int64_t window_length, const ComputeLayout& layout) {
  const int64_t width = 4 * config.hidden_size + 3 * config.intermediate_size +
                        2 * config.num_heads * config.head_dim;
  return layout.activation_bytes * std::max(layout.batch_tokens, window_length) * width;
}

BlockMemory QuantizeMemory(const ModelConfig& config, const CalibrationSize& calibration,
                           const ComputeLayout& layout) {
  int64_t weights = 0;
  int64_t widest = 0;
  int64_t largest = 0;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(config, kind);
    weights += shape.rows * shape.cols;
    widest = std::max(widest, shape.cols);
    largest = std::max(largest, shape.rows * shape.cols);
  }
  const int64_t copies = layout.own_memory ? 3 : 2;  // as it is, as quantized, the next block's
  const int64_t streams = calibration.both_streams ? 2 : 1;
  const int64_t matrices = kMatrices + (calibration.rotated ? kMatricesOfARotation : 0);
  BlockMemory memory;
  memory.states =
      calibration.tokens * (kFloatBytes * streams * config.hidden_size +
                            layout.activation_bytes * config.num_heads * config.head_dim);
  memory.besides = layout.activation_bytes * copies * weights +
                   kFloatBytes * matrices * widest * widest +
                   BatchMemory(config, calibration.window_length, layout);
  if (layout.own_memory) memory.besides += kFloatBytes * kWeightsOfALayer * largest;
  return memory;
}

}  // namespace tern
