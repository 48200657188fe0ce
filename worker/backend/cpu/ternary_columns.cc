#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {

absl::Status CpuTernaryOps::Diagonal(const Tensor& h, const Tensor& diagonal) {
  assert(h.rows() == h.cols() && diagonal.elements() == h.rows());
  const float* from = h.data<float>();
  for (int64_t i = 0; i < h.rows(); ++i) diagonal.data<float>()[i] = from[i * h.cols() + i];
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::GatherColumns(const Tensor& from, const Tensor& columns,
                                          const Tensor& to) {
  const int64_t count = columns.elements();
  assert(to.rows() == from.rows() && to.cols() == count && SizeOf(from.type()) == sizeof(uint32_t));
  const int32_t* list = columns.data<int32_t>();
  pool_.ParallelFor(from.rows(), [&](int64_t r) {
    const uint32_t* row = from.data<uint32_t>() + r * from.cols();
    uint32_t* out = to.data<uint32_t>() + r * count;
    for (int64_t c = 0; c < count; ++c) out[c] = row[list[c]];
  });
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::ZeroColumns(const Tensor& columns, const Tensor& w) {
  for (int64_t r = 0; r < w.rows(); ++r) {
    float* row = w.data<float>() + r * w.cols();
    for (const int32_t column : columns.values<int32_t>()) row[column] = 0.0f;
  }
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::OrderColumns(const Tensor& scores, int64_t group, const Tensor& order) {
  const int64_t m = scores.elements();
  assert(order.elements() == m);
  const auto score = [&](int32_t column) {
    const float value = scores.data<float>()[column];
    return std::isnan(value) ? -std::numeric_limits<float>::infinity() : value;
  };
  int32_t* first = order.data<int32_t>();
  int32_t* middle = first + std::min(group, m);
  int32_t* last = first + m;
  std::iota(first, last, 0);
  std::partial_sort(first, middle, last, [&](int32_t a, int32_t b) {
    return score(a) != score(b) ? score(a) > score(b) : a < b;
  });
  std::sort(middle, last);
  return absl::OkStatus();
}

}  // namespace tern
