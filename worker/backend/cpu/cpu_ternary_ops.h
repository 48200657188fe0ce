#ifndef TERN_WORKER_BACKEND_CPU_CPU_TERNARY_OPS_H_
#define TERN_WORKER_BACKEND_CPU_CPU_TERNARY_OPS_H_

#include "worker/backend/cpu/thread_pool.h"
#include "worker/backend/ternary_ops.h"

namespace tern {

// One operation a file: ternary_*.cc.
class CpuTernaryOps final : public TernaryOps {
 public:
  explicit CpuTernaryOps(ThreadPool& pool) : pool_(pool) {}

  absl::Status Diagonal(const Tensor& h, const Tensor& diagonal) override;
  absl::Status GatherColumns(const Tensor& from, const Tensor& columns, const Tensor& to) override;
  absl::Status ZeroColumns(const Tensor& columns, const Tensor& w) override;
  absl::Status OrderColumns(const Tensor& scores, int64_t group, const Tensor& order) override;
  absl::Status ColumnSimilarity(const Tensor& w, const Tensor& scores) override;
  absl::Status FitGrid(const Tensor& w, int max_rounds, const Tensor& trits, const Tensor& alpha,
                       const Tensor& mu, const Tensor& counts) override;
  absl::Status FitGridByThreshold(const Tensor& w, int rounds, const Tensor& trits,
                                  const Tensor& alpha, const Tensor& mu,
                                  const Tensor& counts) override;
  absl::Status AlignGrid(const Tensor& w, const Tensor& trits, const Tensor& h,
                         const Tensor& columns, const Tensor& alpha, const Tensor& mu) override;
  absl::Status RoundToHalf(const Tensor& values) override;
  absl::Status GridError(const Tensor& w, const Tensor& trits, const Tensor& alpha,
                         const Tensor& mu, const Tensor& error) override;
  absl::StatusOr<bool> InvertDamped(const Tensor& h, double damping,
                                    const Tensor& inverse) override;
  absl::Status DowndateInverse(const Tensor& inverse, const Tensor& order, const Tensor& u_bb,
                               const Tensor& u_bb_inverse, const Tensor& u_br, const Tensor& next,
                               const Tensor& failures) override;
  absl::Status AsymmetryTerm(const Tensor& cross, const Tensor& h, const Tensor& columns,
                             const Tensor& u_bb, const Tensor& u_br, const Tensor& next,
                             double lambda, const Tensor& p) override;
  absl::Status CompensateColumns(const Tensor& w, const Tensor& order, const Tensor& error,
                                 const Tensor& u_bb_inverse, const Tensor& u_br, const Tensor& p,
                                 Compensation compensation, const Tensor& next) override;
  absl::StatusOr<double> OutputEnergy(const Tensor& w, const Tensor& w_hat,
                                      const Tensor& h) override;
  absl::Status Pack(const Tensor& trits, const Tensor& alpha, const Tensor& mu, int64_t group_size,
                    const PackedTernary& packed) override;
  absl::Status Unpack(const PackedTernary& packed, int64_t group_size, const Tensor& w) override;

 private:
  ThreadPool& pool_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_CPU_TERNARY_OPS_H_
