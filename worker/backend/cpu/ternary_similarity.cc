#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {
namespace {

constexpr int64_t kTileColumns = 64;

}  // namespace

// All sums are float64, so that columns change places only where they are equal to the last digit.
absl::Status CpuTernaryOps::ColumnSimilarity(const Tensor& w, const Tensor& scores) {
  const int64_t n = w.rows();
  const int64_t m = w.cols();
  assert(scores.elements() == m);
  const float* data = w.data<float>();
  const int64_t tiles = (m + kTileColumns - 1) / kTileColumns;

  std::vector<double> scale(m);  // 1 / ‖w_j‖
  pool_.ParallelFor(tiles, [&](int64_t t) {
    const int64_t end = std::min(m, (t + 1) * kTileColumns);
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t j = t * kTileColumns; j < end; ++j) {
        const double value = data[r * m + j];
        scale[j] += value * value;
      }
    }
    for (int64_t j = t * kTileColumns; j < end; ++j) {
      scale[j] = scale[j] > 0 ? 1 / std::sqrt(scale[j]) : 0;
    }
  });

  std::vector<double> mean(n);
  pool_.ParallelFor(n, [&](int64_t r) {
    double sum = 0;
    for (int64_t j = 0; j < m; ++j) sum += data[r * m + j] * scale[j];
    mean[r] = sum / static_cast<double>(m);
  });

  pool_.ParallelFor(tiles, [&](int64_t t) {
    const int64_t first = t * kTileColumns;
    const int64_t end = std::min(m, first + kTileColumns);
    double sums[kTileColumns] = {};
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t j = first; j < end; ++j) sums[j - first] += data[r * m + j] * mean[r];
    }
    for (int64_t j = first; j < end; ++j) {
      scores.data<float>()[j] = static_cast<float>(sums[j - first] * scale[j]);
    }
  });
  return absl::OkStatus();
}

}  // namespace tern
