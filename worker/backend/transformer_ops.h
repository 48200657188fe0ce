#ifndef TERN_WORKER_BACKEND_TRANSFORMER_OPS_H_
#define TERN_WORKER_BACKEND_TRANSFORMER_OPS_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "worker/backend/tensor.h"

namespace tern {

// Rows are tokens; a batch holds whole windows of `window_length` tokens one after the other, so
// the position of row i is i mod window_length and no window sees another.
struct AttentionShape {
  int64_t window_length;
  int64_t heads;
  int64_t kv_heads;  // divides heads; q head h reads kv head h / (heads / kv_heads)
  int64_t head_dim;
  int64_t sliding_window;  // 0: full causal; else position i sees i - sliding_window + 1 … i
};

// The forward pass of a decoder-only transformer. The residual stream h, norm weights, RoPE tables
// and logits are float32, what linear layers read and write activations (Backend::activation_type),
// token ids I32.
class TransformerOps {
 public:
  virtual ~TransformerOps() = default;

  // out[t,d] = table[ids[t], :], float32. ids are in range.
  virtual absl::Status Embed(const Tensor& table, const Tensor& ids, const Tensor& out) = 0;

  // out = x / sqrt(mean(x²) + eps) · weight, per row of x[t,d]; weight[1,d]. x is float32
  // or an activation, out an activation; it may be x where their types agree.
  virtual absl::Status RmsNorm(const Tensor& x, const Tensor& weight, double eps,
                               const Tensor& out) = 0;

  // Rotates x[t, heads·head_dim] in place, Hugging Face's half-split layout: element j of a head
  // pairs with j + head_dim/2. cos and sin are [window_length, head_dim/2].
  virtual absl::Status ApplyRope(const Tensor& cos, const Tensor& sin, int64_t heads,
                                 const Tensor& x) = 0;

  // out[t, heads·head_dim] = softmax(q·kᵀ / sqrt(head_dim) + mask)·v. Never the whole score matrix
  // in memory.
  virtual absl::Status CausalAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                                       const AttentionShape& shape, const Tensor& out) = 0;

  // out = silu(gate) · up, element by element. out may be gate.
  virtual absl::Status SwiGlu(const Tensor& gate, const Tensor& up, const Tensor& out) = 0;

  // losses[i] = -log softmax(logits[i,:])[targets[i]] in nats, float64 on the host.
  virtual absl::Status TokenLosses(const Tensor& logits, std::span<const int32_t> targets,
                                   std::span<double> losses) = 0;

  // divergences[i] = KL(softmax(reference[i,:]) ‖ softmax(logits[i,:])) in nats, float64.
  virtual absl::Status KlDivergences(const Tensor& reference, const Tensor& logits,
                                     std::span<double> divergences) = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_TRANSFORMER_OPS_H_
