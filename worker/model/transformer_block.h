#ifndef TERN_WORKER_MODEL_TRANSFORMER_BLOCK_H_
#define TERN_WORKER_MODEL_TRANSFORMER_BLOCK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_config.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"

namespace tern {

// The forward pass of one block, cut where calibration needs the inputs of its linear layers.
// Tensors hold whole windows; hidden states are [tokens, hidden] and updated in place.
//
//   x = AttentionInput(h)          input of q, k, v          [tokens, hidden]
//   a = Attention(x)               input of o                [tokens, heads · head_dim]
//   AddAttentionOutput(a, h)       h += o(a)
//   x = MlpInput(h)                input of gate, up         [tokens, hidden]
//   m = MlpActivation(x)           input of down             [tokens, intermediate]
//   AddMlpOutput(m, h)             h += down(m)
//
// Layers in low-bit form (BlockWeights::low_bit) rotate and quantize these inputs for themselves.
// Results for a window do not depend on the windows beside it.
//
// Thread-compatible. Scratch memory is kept between calls and sized for the largest batch seen.
class TransformerBlock {
 public:
  // RoPE tables are made for windows of `window_length` tokens; `block` selects its sliding window.
  // The backend must outlive the block.
  static absl::StatusOr<TransformerBlock> Create(Backend& backend, const ModelConfig& config,
                                                 int64_t block, int64_t window_length);

  absl::Status AttentionInput(const BlockWeights& weights, const Tensor& h, const Tensor& x);
  absl::Status Attention(const BlockWeights& weights, const Tensor& x, const Tensor& a);
  absl::Status AddAttentionOutput(const BlockWeights& weights, const Tensor& a, const Tensor& h);
  absl::Status MlpInput(const BlockWeights& weights, const Tensor& h, const Tensor& x);
  absl::Status MlpActivation(const BlockWeights& weights, const Tensor& x, const Tensor& m);
  absl::Status AddMlpOutput(const BlockWeights& weights, const Tensor& m, const Tensor& h);

  // The whole block, BatchWindows() windows at a time.
  absl::Status Forward(const BlockWeights& weights, const Tensor& h);

  // How many windows make a batch of about 4096 tokens, at least one: large enough to keep a device
  // busy, small enough that activations are little beside hidden states.
  int64_t BatchWindows() const;

 private:
  TransformerBlock(Backend& backend, const AttentionShape& shape)
      : backend_(&backend), shape_(shape) {}

  absl::Status ForwardBatch(const BlockWeights& weights, const Tensor& h);
  absl::Status NormalizeHeads(const Tensor& weight, int64_t heads, const Tensor& x);
  // y = layer(x), or y += layer(x).
  absl::Status ApplyLinear(const BlockWeights& weights, LinearKind kind, const Tensor& x,
                           bool accumulate, const Tensor& y);
  // x as the layer reads it. Valid until the next call.
  absl::StatusOr<Tensor> ConvertedInput(const LowBitInput& input, const Tensor& x);

  Backend* backend_;
  AttentionShape shape_;
  double eps_ = 0;
  int64_t intermediate_size_ = 0;
  Tensor cos_, sin_;       // [window_length, head_dim / 2]
  Tensor q_, k_, v_, up_;  // scratch of the parts
  Tensor low_bit_;         // scratch of ConvertedInput, flat
  Tensor x_, a_, m_;       // scratch of Forward
};

}  // namespace tern

#endif  // TERN_WORKER_MODEL_TRANSFORMER_BLOCK_H_
