#ifndef TERN_WORKER_BACKEND_CPU_CPU_TRANSFORMER_OPS_H_
#define TERN_WORKER_BACKEND_CPU_CPU_TRANSFORMER_OPS_H_

#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "worker/backend/cpu/thread_pool.h"
#include "worker/backend/transformer_ops.h"

namespace tern {

// Every result row is computed by one thread.
class CpuTransformerOps : public TransformerOps {
 public:
  explicit CpuTransformerOps(ThreadPool& pool) : pool_(pool) {}

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
  // Calls work(row) for every row of a rows × cols matrix, some rows a task.
  void ForRows(int64_t rows, int64_t cols, absl::FunctionRef<void(int64_t)> work);

  ThreadPool& pool_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_CPU_TRANSFORMER_OPS_H_
