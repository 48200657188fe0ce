#include <cassert>

#include "checkpoint/status_macros.h"
#include "checkpoint/trits.h"
#include "worker/backend/cuda/column_kernels.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/cuda_ternary_ops.h"
#include "worker/backend/cuda/grid_kernels.h"

namespace tern {

absl::StatusOr<Tensor> CudaTernaryOps::Floats(int64_t rows, int64_t cols) {
  return device_.Allocate(ElementType::kF32, rows, cols);
}

absl::StatusOr<Tensor> CudaTernaryOps::Bytes(int64_t count) {
  return device_.Allocate(ElementType::kU8, 1, count);
}

absl::Status CudaTernaryOps::Diagonal(const Tensor& h, const Tensor& diagonal) {
  assert(h.rows() == h.cols() && diagonal.elements() == h.rows());
  LaunchDiagonal(device_.stream(), h.data<float>(), h.rows(), diagonal.data<float>());
  return Launched("diagonal");
}

absl::Status CudaTernaryOps::GatherColumns(const Tensor& from, const Tensor& columns,
                                           const Tensor& to) {
  assert(to.rows() == from.rows() && to.cols() == columns.elements() && SizeOf(from.type()) == 4);
  if (to.elements() == 0) return absl::OkStatus();
  LaunchGatherColumns(device_.stream(), from.data<void>(), from.rows(), from.cols(),
                      columns.data<int32_t>(), columns.elements(), to.data<void>());
  return Launched("gather columns");
}

absl::Status CudaTernaryOps::ZeroColumns(const Tensor& columns, const Tensor& w) {
  LaunchZeroColumns(device_.stream(), columns.data<int32_t>(), columns.elements(), w.rows(),
                    w.cols(), w.data<float>());
  return Launched("zero columns");
}

absl::Status CudaTernaryOps::OrderColumns(const Tensor& scores, int64_t group,
                                          const Tensor& order) {
  const int64_t m = scores.elements();
  assert(order.elements() == m);
  TERN_ASSIGN_OR_RETURN(const Tensor scratch, Bytes(static_cast<int64_t>(OrderScratchBytes(m))));
  return CudaStatus(LaunchOrderColumns(device_.stream(), scores.data<float>(), m, group,
                                       scratch.data<void>(), order.data<int32_t>()),
                    "order columns");
}

absl::Status CudaTernaryOps::ColumnSimilarity(const Tensor& w, const Tensor& scores) {
  const int64_t n = w.rows();
  const int64_t m = w.cols();
  assert(scores.elements() == m);
  TERN_ASSIGN_OR_RETURN(const Tensor scratch,
                        Bytes(static_cast<int64_t>(SimilarityScratch(n, m) * sizeof(double))));
  LaunchColumnSimilarity(device_.stream(), w.data<float>(), n, m, scratch.data<double>(),
                         scores.data<float>());
  return Launched("column similarity");
}

absl::Status CudaTernaryOps::FitGrid(const Tensor& w, int max_rounds, const Tensor& trits,
                                     const Tensor& alpha, const Tensor& mu, const Tensor& counts) {
  assert(trits.rows() == w.rows() && trits.cols() == w.cols() && w.cols() <= kWidestGroup);
  assert(alpha.elements() == w.rows() && mu.elements() == w.rows() && counts.elements() == 2);
  LaunchFitGrid(device_.stream(), w.data<float>(), w.rows(), w.cols(), max_rounds,
                trits.data<int8_t>(), alpha.data<float>(), mu.data<float>(),
                counts.data<int32_t>());
  return Launched("fit grid");
}

absl::Status CudaTernaryOps::FitGridByThreshold(const Tensor& w, int rounds, const Tensor& trits,
                                                const Tensor& alpha, const Tensor& mu,
                                                const Tensor& counts) {
  assert(trits.rows() == w.rows() && trits.cols() == w.cols() && w.cols() <= kWidestGroup);
  assert(alpha.elements() == w.rows() && mu.elements() == w.rows() && counts.elements() == 2);
  LaunchFitGridByThreshold(device_.stream(), w.data<float>(), w.rows(), w.cols(), rounds,
                           trits.data<int8_t>(), alpha.data<float>(), mu.data<float>(),
                           counts.data<int32_t>());
  return Launched("fit grid by threshold");
}

absl::Status CudaTernaryOps::AlignGrid(const Tensor& w, const Tensor& trits, const Tensor& h,
                                       const Tensor& columns, const Tensor& alpha,
                                       const Tensor& mu) {
  const int64_t g = w.cols();
  assert(trits.rows() == w.rows() && trits.cols() == g && columns.elements() == g);
  TERN_ASSIGN_OR_RETURN(const Tensor c, Floats(g, g));
  TERN_ASSIGN_OR_RETURN(const Tensor row_sums,
                        Bytes((g + 1) * static_cast<int64_t>(sizeof(double))));
  const auto* list = columns.data<int32_t>();
  LaunchGatherBlock(device_.stream(), h.data<float>(), nullptr, h.cols(), list, g, list, g,
                    c.data<float>());
  LaunchAlignGrid(device_.stream(), w.data<float>(), w.rows(), g, trits.data<int8_t>(),
                  c.data<float>(), row_sums.data<double>(), alpha.data<float>(), mu.data<float>());
  return Launched("align grid");
}

absl::Status CudaTernaryOps::RoundToHalf(const Tensor& values) {
  LaunchRoundToHalf(device_.stream(), values.data<float>(), values.elements());
  return Launched("round to half");
}

absl::Status CudaTernaryOps::GridError(const Tensor& w, const Tensor& trits, const Tensor& alpha,
                                       const Tensor& mu, const Tensor& error) {
  assert(trits.elements() == w.elements() && error.elements() == w.elements());
  LaunchGridError(device_.stream(), w.data<float>(), trits.data<int8_t>(), alpha.data<float>(),
                  mu.data<float>(), w.rows(), w.cols(), error.data<float>());
  return Launched("grid error");
}

absl::Status CudaTernaryOps::Pack(const Tensor& trits, const Tensor& alpha, const Tensor& mu,
                                  int64_t group_size, const PackedTernary& packed) {
  const int64_t n = packed.trits.rows();
  const int64_t m = trits.elements() / n;
  assert(packed.trits.cols() == PackedTritBytes(m) && packed.alpha.elements() == alpha.elements());
  LaunchPack(device_.stream(), trits.data<int8_t>(), alpha.data<float>(), mu.data<float>(), n, m,
             group_size, packed.trits.data<uint8_t>(), packed.alpha.data<uint16_t>(),
             packed.mu.data<uint16_t>());
  return Launched("pack");
}

absl::Status CudaTernaryOps::Unpack(const PackedTernary& packed, int64_t group_size,
                                    const Tensor& w) {
  assert(packed.trits.rows() == w.rows() && packed.trits.cols() == PackedTritBytes(w.cols()));
  LaunchUnpack(device_.stream(), packed.trits.data<uint8_t>(), packed.alpha.data<uint16_t>(),
               packed.mu.data<uint16_t>(), packed.perm.data<int32_t>(), w.rows(), w.cols(),
               group_size, w.type() == ElementType::kBF16, w.data<void>());
  return Launched("unpack");
}

}  // namespace tern
