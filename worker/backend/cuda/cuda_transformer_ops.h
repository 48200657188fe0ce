#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_TRANSFORMER_OPS_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_TRANSFORMER_OPS_H_

#include <cstdint>
#include <span>

#include "worker/backend/cuda/device_context.h"
#include "worker/backend/transformer_ops.h"

namespace tern {

class CudaTransformerOps final : public TransformerOps {
 public:
  explicit CudaTransformerOps(DeviceContext& device) : device_(device) {}

  absl::Status Embed(const Tensor& table, const Tensor& ids, const Tensor& out) override;
  absl::Status RmsNorm(const Tensor& x, const Tensor& weight, double eps,
                       const Tensor& out) override;
  absl::Status ApplyRope(const Tensor& cos, const Tensor& sin, int64_t heads,
                         const Tensor& x) override;
  absl::Status CausalAttention(const Tensor& q, const Tensor& k, const Tensor& v,
                               const AttentionShape& shape, const Tensor& out) override;
  absl::Status SwiGlu(const Tensor& gate, const Tensor& up, const Tensor& out) override;
  absl::Status TokenLosses(const Tensor& logits, std::span<const int32_t> targets,
                           std::span<double> losses) override;
  absl::Status KlDivergences(const Tensor& reference, const Tensor& logits,
                             std::span<double> divergences) override;

 private:
  absl::Status DownloadDoubles(const Tensor& from, const char* operation, std::span<double> to);

  DeviceContext& device_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_TRANSFORMER_OPS_H_
