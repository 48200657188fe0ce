#include "worker/backend/cuda/attention.h"

#include <cassert>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "worker/backend/cuda/attention_kernels.h"
#include "worker/backend/cuda/cuda_status.h"

namespace tern {
namespace {

AttentionSizes SizesOf(const AttentionShape& shape, int64_t rows) {
  const int64_t length = shape.window_length;
  const bool sliding = shape.sliding_window > 0 && shape.sliding_window < length;
  return {.windows = static_cast<int>(rows / length),
          .window_length = static_cast<int>(length),
          .heads = static_cast<int>(shape.heads),
          .kv_heads = static_cast<int>(shape.kv_heads),
          .head_dim = static_cast<int>(shape.head_dim),
          .reach = static_cast<int>(sliding ? shape.sliding_window : length)};
}

template <typename T>
cudaError_t Launch(cudaStream_t stream, const Tensor& q, const Tensor& k, const Tensor& v,
                   const AttentionSizes& sizes, const Tensor& out) {
  return LaunchCausalAttention(stream, q.data<T>(), k.data<T>(), v.data<T>(), sizes, out.data<T>());
}

}  // namespace

absl::Status CausalAttention(cudaStream_t stream, const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionShape& shape, const Tensor& out) {
  assert(q.type() == ElementType::kF32 || q.type() == ElementType::kBF16);
  assert(k.type() == q.type() && v.type() == q.type() && out.type() == q.type());
  assert(q.rows() % shape.window_length == 0 && shape.heads % shape.kv_heads == 0);
  assert(q.cols() == shape.heads * shape.head_dim && k.cols() == shape.kv_heads * shape.head_dim);
  assert(k.rows() == q.rows() && v.rows() == q.rows() && v.cols() == k.cols());
  assert(out.rows() == q.rows() && out.cols() == q.cols());
  const AttentionSizes sizes = SizesOf(shape, q.rows());
  const cudaError_t error = q.type() == ElementType::kBF16
                                ? Launch<__nv_bfloat16>(stream, q, k, v, sizes, out)
                                : Launch<float>(stream, q, k, v, sizes, out);
  if (error == cudaErrorNotSupported) {
    return absl::UnimplementedError(
        absl::StrCat("cuda: causal attention: head_dim ", shape.head_dim, "; it must be at most ",
                     kMaxHeadDim, ", and with bfloat16 a multiple of 8"));
  }
  return CudaStatus(error, "causal attention");
}

}  // namespace tern
