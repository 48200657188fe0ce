#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>

#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {

absl::Status CpuTernaryOps::Diagonal(const Tensor& h, const Tensor& diagonal) {
  assert(h.rows() == h.cols() && diagonal.elements() == h.rows());
  const float* from = h.data<float>();
  for (int64_t i = 0; i < h.rows(); ++i) diagonal.data<float>()[i] = from[i * h.cols() + i];
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::GatherColumns(const Tensor& from, std::span<const int32_t> columns,
                                          const Tensor& to) {
  const auto count = static_cast<int64_t>(columns.size());
  assert(to.rows() == from.rows() && to.cols() == count);
  pool_.ParallelFor(from.rows(), [&](int64_t r) {
    const float* row = from.data<float>() + r * from.cols();
    float* out = to.data<float>() + r * count;
    for (int64_t c = 0; c < count; ++c) out[c] = row[columns[c]];
  });
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::ZeroColumns(std::span<const int32_t> columns, const Tensor& w) {
  for (int64_t r = 0; r < w.rows(); ++r) {
    float* row = w.data<float>() + r * w.cols();
    for (const int32_t column : columns) row[column] = 0.0f;
  }
  return absl::OkStatus();
}

}  // namespace tern
