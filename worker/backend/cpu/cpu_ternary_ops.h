#ifndef TERN_WORKER_BACKEND_CPU_CPU_TERNARY_OPS_H_
#define TERN_WORKER_BACKEND_CPU_CPU_TERNARY_OPS_H_

#include <span>

#include "worker/backend/cpu/thread_pool.h"
#include "worker/backend/ternary_ops.h"

namespace tern {

// One operation a file: ternary_*.cc.
class CpuTernaryOps final : public TernaryOps {
 public:
  explicit CpuTernaryOps(ThreadPool& pool) : pool_(pool) {}

  absl::Status Diagonal(const Tensor& h, const Tensor& diagonal) override;
  absl::Status GatherColumns(const Tensor& from, std::span<const int32_t> columns,
                             const Tensor& to) override;
  absl::Status ZeroColumns(std::span<const int32_t> columns, const Tensor& w) override;
  absl::Status ColumnSimilarity(const Tensor& w, const Tensor& scores) override;
  absl::StatusOr<GridFit> FitGrid(const Tensor& w, int max_rounds, const Tensor& trits,
                                  const Tensor& alpha, const Tensor& mu) override;
  absl::Status AlignGrid(const Tensor& w, const Tensor& trits, const Tensor& h,
                         std::span<const int32_t> columns, const Tensor& alpha,
                         const Tensor& mu) override;
  absl::Status RoundToHalf(const Tensor& values) override;
  absl::Status GridError(const Tensor& w, const Tensor& trits, const Tensor& alpha,
                         const Tensor& mu, const Tensor& error) override;
  absl::StatusOr<bool> InvertDamped(const Tensor& h, double damping, const Tensor& scratch,
                                    const Tensor& inverse) override;
  absl::StatusOr<bool> DowndateInverse(const Tensor& inverse, std::span<const int32_t> order,
                                       const Tensor& u_bb, const Tensor& u_br,
                                       const Tensor& next) override;
  absl::Status AsymmetryTerm(const Tensor& cross, const Tensor& h, std::span<const int32_t> columns,
                             const Tensor& u_bb, const Tensor& u_br, const Tensor& next,
                             double lambda, const Tensor& p) override;
  absl::Status CompensateColumns(const Tensor& w, std::span<const int32_t> order,
                                 const Tensor& error, const Tensor& u_bb, const Tensor& u_br,
                                 const Tensor& p, Compensation compensation,
                                 const Tensor& next) override;
  absl::StatusOr<double> OutputEnergy(const Tensor& w, const Tensor& w_hat,
                                      const Tensor& h) override;

 private:
  ThreadPool& pool_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_CPU_TERNARY_OPS_H_
