#ifndef TERN_WORKER_BACKEND_CPU_CPU_ACTIVATION_OPS_H_
#define TERN_WORKER_BACKEND_CPU_CPU_ACTIVATION_OPS_H_

#include "worker/backend/activation_ops.h"
#include "worker/backend/cpu/thread_pool.h"

namespace tern {

class CpuActivationOps : public ActivationOps {
 public:
  explicit CpuActivationOps(ThreadPool& pool) : pool_(pool) {}

  absl::Status Quantize(const Tensor& x, int bits, double clip, const Tensor& out) override;
  absl::Status QuantizationError(const Tensor& x, int bits, double clip,
                                 const Tensor& error) override;
  absl::Status AddSquares(const Tensor& y, const Tensor& sum) override;

 private:
  ThreadPool& pool_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_CPU_ACTIVATION_OPS_H_
