#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_ROTATION_OPS_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_ROTATION_OPS_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "worker/backend/cuda/device_context.h"
#include "worker/backend/cuda/matrix_product.h"
#include "worker/backend/rotation_ops.h"

namespace tern {

class CudaRotationOps final : public RotationOps {
 public:
  // kTf32: the products over a whole weight that a rotation is learned from are made of TF32. Those
  // that rotate for good, and those of factors, never are.
  CudaRotationOps(DeviceContext& device, Arithmetic arithmetic)
      : device_(device), arithmetic_(arithmetic) {}

  absl::Status RotateRows(const Tensor& x, const Tensor& r1, const Tensor& r2,
                          const Tensor& out) override;
  absl::Status QuantizeRotatedRows(const Tensor& x, const Tensor& r1, const Tensor& r2, int bits,
                                   double clip, const Tensor& out) override;
  absl::Status RotateMoment(const Tensor& moment, const Tensor& r1, const Tensor& r2,
                            const Tensor& out) override;
  absl::Status InverseTranspose(const Tensor& r, const Tensor& inverse) override;
  absl::Status Cayley(const Tensor& s, const Tensor& rotation) override;
  absl::Status CayleyGradient(const Tensor& rotation, const Tensor& d_rotation,
                              const Tensor& d_s) override;
  absl::Status RotatedMixtureLoss(const Tensor& w, const Tensor& r1, const Tensor& r2,
                                  MixtureObjective objective, const Tensor& loss, const Tensor& y,
                                  const Tensor& d_y) override;
  absl::Status FactorGradients(const Tensor& y, const Tensor& d_y, const Tensor& r1,
                               const Tensor& r2, const Tensor& d_r1, const Tensor& d_r2) override;
  absl::Status AdamStep(const Tensor& gradient, int64_t step, double rate, const Tensor& mean,
                        const Tensor& square, const Tensor& s) override;
  absl::Status DescentStep(const Tensor& gradient, double rate, const Tensor& s) override;

 private:
  absl::StatusOr<Tensor> Floats(int64_t rows, int64_t cols) {
    return device_.Allocate(ElementType::kF32, rows, cols);
  }

  // residual[k,k] = I - rᵀx.
  absl::Status Residual(const Tensor& r, const Tensor& x, const Tensor& residual);

  // Rotates x[t,m] bf16, some rows at a time: `take` launches what becomes of those from `first`
  // on, fp16 rows with scales (scaled_rows.h), whose memory serves the next ones after it.
  using TakeScaledRows =
      absl::FunctionRef<void(int64_t first, const Tensor& rotated, const Tensor& scales)>;
  absl::Status RotateActivations(const Tensor& x, const Tensor& r1, const Tensor& r2,
                                 TakeScaledRows take);

  // r as fp16.
  absl::StatusOr<Tensor> HalfFactor(const Tensor& r);

  // out = r1·Z in every row Z[n1,n2] of z[t,m], float32; out may be z only where n1 ≤
  // kWidestLeftFactor.
  absl::Status MultiplyLeft(const Tensor& r1, const Tensor& z, int64_t n2, const Tensor& out);

  // sum[n1,n1] = Σ G·Yᵀ over the rows of d_y and y, and sum[n2,n2] = Σ Yᵀ·G.
  absl::Status SumLeftProducts(const Tensor& y, const Tensor& d_y, int64_t n1, int64_t n2,
                               const Tensor& sum);
  absl::Status SumRightProducts(const Tensor& y, const Tensor& d_y, int64_t n2, const Tensor& sum);

  DeviceContext& device_;
  const Arithmetic arithmetic_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_ROTATION_OPS_H_
