#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_ACTIVATION_OPS_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_ACTIVATION_OPS_H_

#include "worker/backend/activation_ops.h"
#include "worker/backend/cuda/device_context.h"

namespace tern {

class CudaActivationOps final : public ActivationOps {
 public:
  explicit CudaActivationOps(DeviceContext& device) : device_(device) {}

  absl::Status Quantize(const Tensor& x, int bits, double clip, const Tensor& out) override;
  absl::Status QuantizationError(const Tensor& x, int bits, double clip,
                                 const Tensor& error) override;
  absl::Status AddSquares(const Tensor& y, const Tensor& sum) override;

 private:
  DeviceContext& device_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_ACTIVATION_OPS_H_
