#include "worker/model/transformer_block.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "checkpoint/status_macros.h"
#include "worker/model/rope.h"

namespace tern {
namespace {

// The first `rows` rows of `scratch`, activations, which is made larger where it has fewer.
absl::StatusOr<Tensor> Scratch(Backend& backend, int64_t rows, int64_t cols, Tensor& scratch) {
  if (scratch.empty() || scratch.rows() < rows) {
    scratch = Tensor();  // frees the old one first
    TERN_ASSIGN_OR_RETURN(scratch, backend.Allocate(backend.activation_type(), rows, cols));
  }
  return scratch.Rows(0, rows);
}

}  // namespace

absl::StatusOr<TransformerBlock> TransformerBlock::Create(Backend& backend,
                                                          const ModelConfig& config, int64_t block,
                                                          int64_t window_length) {
  TransformerBlock result(backend, {.window_length = window_length,
                                    .heads = config.num_heads,
                                    .kv_heads = config.num_kv_heads,
                                    .head_dim = config.head_dim,
                                    .sliding_window = config.sliding_window[block]});
  result.eps_ = config.rms_norm_eps;
  result.intermediate_size_ = config.intermediate_size;
  const RopeTables tables = MakeRopeTables(config.rope, config.head_dim, window_length);
  const int64_t half = config.head_dim / 2;
  TERN_ASSIGN_OR_RETURN(result.cos_, backend.Allocate(ElementType::kF32, window_length, half));
  TERN_ASSIGN_OR_RETURN(result.sin_, backend.Allocate(ElementType::kF32, window_length, half));
  TERN_RETURN_IF_ERROR(backend.Upload(tables.cos.data(), result.cos_));
  TERN_RETURN_IF_ERROR(backend.Upload(tables.sin.data(), result.sin_));
  return result;
}

absl::Status TransformerBlock::AttentionInput(const BlockWeights& weights, const Tensor& h,
                                              const Tensor& x) {
  return backend_->transformer().RmsNorm(h, weights.attention_norm, eps_, x);
}

absl::Status TransformerBlock::Attention(const BlockWeights& weights, const Tensor& x,
                                         const Tensor& a) {
  assert(x.rows() % shape_.window_length == 0);
  const int64_t q_size = shape_.heads * shape_.head_dim;
  const int64_t kv_size = shape_.kv_heads * shape_.head_dim;
  TERN_ASSIGN_OR_RETURN(const Tensor q, Scratch(*backend_, x.rows(), q_size, q_));
  TERN_ASSIGN_OR_RETURN(const Tensor k, Scratch(*backend_, x.rows(), kv_size, k_));
  TERN_ASSIGN_OR_RETURN(const Tensor v, Scratch(*backend_, x.rows(), kv_size, v_));
  for (const auto& [kind, out] :
       {std::pair{LinearKind::kQ, q}, {LinearKind::kK, k}, {LinearKind::kV, v}}) {
    TERN_RETURN_IF_ERROR(ApplyLinear(weights, kind, x, /*accumulate=*/false, out));
  }
  TERN_RETURN_IF_ERROR(NormalizeHeads(weights.q_norm, shape_.heads, q));
  TERN_RETURN_IF_ERROR(NormalizeHeads(weights.k_norm, shape_.kv_heads, k));
  TransformerOps& ops = backend_->transformer();
  TERN_RETURN_IF_ERROR(ops.ApplyRope(cos_, sin_, shape_.heads, q));
  TERN_RETURN_IF_ERROR(ops.ApplyRope(cos_, sin_, shape_.kv_heads, k));
  return ops.CausalAttention(q, k, v, shape_, a);
}

absl::Status TransformerBlock::NormalizeHeads(const Tensor& weight, int64_t heads,
                                              const Tensor& x) {
  if (weight.empty()) return absl::OkStatus();
  const Tensor by_head = x.Reshape(x.rows() * heads, shape_.head_dim);
  return backend_->transformer().RmsNorm(by_head, weight, eps_, by_head);
}

absl::Status TransformerBlock::AddAttentionOutput(const BlockWeights& weights, const Tensor& a,
                                                  const Tensor& h) {
  return ApplyLinear(weights, LinearKind::kO, a, /*accumulate=*/true, h);
}

absl::Status TransformerBlock::MlpInput(const BlockWeights& weights, const Tensor& h,
                                        const Tensor& x) {
  return backend_->transformer().RmsNorm(h, weights.mlp_norm, eps_, x);
}

absl::Status TransformerBlock::MlpActivation(const BlockWeights& weights, const Tensor& x,
                                             const Tensor& m) {
  TERN_ASSIGN_OR_RETURN(const Tensor up, Scratch(*backend_, x.rows(), intermediate_size_, up_));
  TERN_RETURN_IF_ERROR(ApplyLinear(weights, LinearKind::kGate, x, /*accumulate=*/false, m));
  TERN_RETURN_IF_ERROR(ApplyLinear(weights, LinearKind::kUp, x, /*accumulate=*/false, up));
  return backend_->transformer().SwiGlu(m, up, m);
}

absl::Status TransformerBlock::AddMlpOutput(const BlockWeights& weights, const Tensor& m,
                                            const Tensor& h) {
  return ApplyLinear(weights, LinearKind::kDown, m, /*accumulate=*/true, h);
}

absl::Status TransformerBlock::ApplyLinear(const BlockWeights& weights, LinearKind kind,
                                           const Tensor& x, bool accumulate, const Tensor& y) {
  Tensor input = x;
  if (const auto low_bit = weights.low_bit.find(kind); low_bit != weights.low_bit.end()) {
    TERN_ASSIGN_OR_RETURN(input, ConvertedInput(low_bit->second, x));
  }
  return backend_->Linear(input, weights.weight.at(kind), weights.bias.at(kind), accumulate, y);
}

absl::StatusOr<Tensor> TransformerBlock::ConvertedInput(const LowBitInput& input, const Tensor& x) {
  TERN_ASSIGN_OR_RETURN(Tensor converted, Scratch(*backend_, x.elements(), 1, low_bit_));
  converted = converted.Reshape(x.rows(), x.cols());
  const RotationFactors& rotation = input.rotation;
  if (rotation.r1.empty()) {
    TERN_RETURN_IF_ERROR(backend_->activations().Quantize(x, input.bits, input.clip, converted));
  } else {
    TERN_RETURN_IF_ERROR(backend_->rotation().QuantizeRotatedRows(
        x, rotation.r1, rotation.r2, input.bits, input.clip, converted));
  }
  return converted;
}

int64_t TransformerBlock::BatchWindows() const {
  return std::max<int64_t>(1, backend_->batch_tokens() / shape_.window_length);
}

absl::Status TransformerBlock::Forward(const BlockWeights& weights, const Tensor& h) {
  const int64_t batch = BatchWindows() * shape_.window_length;
  for (int64_t row = 0; row < h.rows(); row += batch) {
    TERN_RETURN_IF_ERROR(ForwardBatch(weights, h.Rows(row, std::min(batch, h.rows() - row))));
  }
  return absl::OkStatus();
}

absl::Status TransformerBlock::ForwardBatch(const BlockWeights& weights, const Tensor& h) {
  TERN_ASSIGN_OR_RETURN(const Tensor x, Scratch(*backend_, h.rows(), h.cols(), x_));
  TERN_ASSIGN_OR_RETURN(const Tensor a,
                        Scratch(*backend_, h.rows(), shape_.heads * shape_.head_dim, a_));
  TERN_ASSIGN_OR_RETURN(const Tensor m, Scratch(*backend_, h.rows(), intermediate_size_, m_));
  TERN_RETURN_IF_ERROR(AttentionInput(weights, h, x));
  TERN_RETURN_IF_ERROR(Attention(weights, x, a));
  TERN_RETURN_IF_ERROR(AddAttentionOutput(weights, a, h));
  TERN_RETURN_IF_ERROR(MlpInput(weights, h, x));
  TERN_RETURN_IF_ERROR(MlpActivation(weights, x, m));
  return AddMlpOutput(weights, m, h);
}

}  // namespace tern
