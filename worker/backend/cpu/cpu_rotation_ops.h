#ifndef TERN_WORKER_BACKEND_CPU_CPU_ROTATION_OPS_H_
#define TERN_WORKER_BACKEND_CPU_CPU_ROTATION_OPS_H_

#include "worker/backend/cpu/thread_pool.h"
#include "worker/backend/rotation_ops.h"

namespace tern {

// What belongs together in a file: rotation_*.cc.
class CpuRotationOps final : public RotationOps {
 public:
  explicit CpuRotationOps(ThreadPool& pool) : pool_(pool) {}

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
  ThreadPool& pool_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_CPU_ROTATION_OPS_H_
