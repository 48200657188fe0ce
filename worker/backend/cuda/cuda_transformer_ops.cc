#include "worker/backend/cuda/cuda_transformer_ops.h"

#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/attention.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/loss_kernels.h"
#include "worker/backend/cuda/transformer_kernels.h"

namespace tern {
namespace {

constexpr int64_t kDoubleBytes = sizeof(double);

}  // namespace

absl::Status CudaTransformerOps::Embed(const Tensor& table, const Tensor& ids, const Tensor& out) {
  assert(out.rows() == ids.elements() && out.cols() == table.cols());
  LaunchEmbed(device_.stream(), table.data<float>(), ids.data<int32_t>(), ids.elements(),
              table.cols(), out.data<float>());
  return Launched("embed");
}

absl::Status CudaTransformerOps::RmsNorm(const Tensor& x, const Tensor& weight, double eps,
                                         const Tensor& out) {
  assert(weight.elements() == x.cols() && out.rows() == x.rows() && out.cols() == x.cols());
  LaunchRmsNorm(device_.stream(), x, weight.data<float>(), eps, out);
  return Launched("rms norm");
}

absl::Status CudaTransformerOps::ApplyRope(const Tensor& cos, const Tensor& sin, int64_t heads,
                                           const Tensor& x) {
  assert(x.cols() == heads * 2 * cos.cols() && cos.cols() == sin.cols());
  LaunchRope(device_.stream(), cos.data<float>(), sin.data<float>(), cos.rows(), heads, x);
  return Launched("rope");
}

absl::Status CudaTransformerOps::CausalAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                                                 const AttentionShape& shape, const Tensor& out) {
  return tern::CausalAttention(device_.stream(), q, k, v, shape, out);
}

absl::Status CudaTransformerOps::SwiGlu(const Tensor& gate, const Tensor& up, const Tensor& out) {
  assert(gate.elements() == up.elements() && out.elements() == gate.elements());
  LaunchSwiGlu(device_.stream(), gate, up, out);
  return Launched("swiglu");
}

absl::Status CudaTransformerOps::TokenLosses(const Tensor& logits, std::span<const int32_t> targets,
                                             std::span<double> losses) {
  const int64_t rows = logits.rows();
  assert(static_cast<int64_t>(targets.size()) == rows && losses.size() == targets.size());
  TERN_ASSIGN_OR_RETURN(const Tensor ids, device_.Allocate(ElementType::kI32, 1, rows));
  TERN_RETURN_IF_ERROR(CudaStatus(cudaMemcpyAsync(ids.data<void>(), targets.data(), ids.bytes(),
                                                  cudaMemcpyHostToDevice, device_.stream()),
                                  "token losses"));
  TERN_ASSIGN_OR_RETURN(const Tensor out,
                        device_.Allocate(ElementType::kU8, 1, rows * kDoubleBytes));
  LaunchTokenLosses(device_.stream(), logits.data<float>(), rows, logits.cols(),
                    ids.data<int32_t>(), out.data<double>());
  return DownloadDoubles(out, "token losses", losses);
}

absl::Status CudaTransformerOps::KlDivergences(const Tensor& reference, const Tensor& logits,
                                               std::span<double> divergences) {
  const int64_t rows = logits.rows();
  assert(reference.elements() == logits.elements() &&
         static_cast<int64_t>(divergences.size()) == rows);
  TERN_ASSIGN_OR_RETURN(const Tensor out,
                        device_.Allocate(ElementType::kU8, 1, rows * kDoubleBytes));
  LaunchKlDivergences(device_.stream(), reference.data<float>(), logits.data<float>(), rows,
                      logits.cols(), out.data<double>());
  return DownloadDoubles(out, "divergences", divergences);
}

absl::Status CudaTransformerOps::DownloadDoubles(const Tensor& from, const char* operation,
                                                 std::span<double> to) {
  TERN_RETURN_IF_ERROR(Launched(operation));
  TERN_RETURN_IF_ERROR(CudaStatus(cudaMemcpyAsync(to.data(), from.data<void>(), from.bytes(),
                                                  cudaMemcpyDeviceToHost, device_.stream()),
                                  operation));
  return device_.Synchronize(operation);
}

}  // namespace tern
