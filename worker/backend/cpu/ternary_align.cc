#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {
namespace {

constexpr int64_t kTileRows = 32;
// a·d - b² below this share of a·d says that t and 1 are the same direction under C: far above the
// rounding of these float64 sums, far below what a t of any use reaches.
constexpr double kVanishing = 1e-9;

// C = h[columns, columns] and C1, float64.
struct GroupMoment {
  GroupMoment(const Tensor& h, std::span<const int32_t> columns)
      : size(static_cast<int64_t>(columns.size())), c(size * size), row_sums(size) {
    for (int64_t i = 0; i < size; ++i) {
      const float* row = h.data<float>() + columns[i] * h.cols();
      for (int64_t j = 0; j < size; ++j) {
        c[i * size + j] = row[columns[j]];
        row_sums[i] += row[columns[j]];
      }
      total += row_sums[i];
    }
  }

  int64_t size;
  std::vector<double> c;
  std::vector<double> row_sums;
  double total = 0;
};

// out[g] = C·t, C symmetric.
void MultiplyTrits(const GroupMoment& moment, std::span<const int8_t> t, std::span<double> out) {
  std::fill(out.begin(), out.end(), 0.0);
  for (int64_t j = 0; j < moment.size; ++j) {
    const double* row = moment.c.data() + j * moment.size;
    if (t[j] > 0) {
      for (int64_t i = 0; i < moment.size; ++i) out[i] += row[i];
    } else if (t[j] < 0) {
      for (int64_t i = 0; i < moment.size; ++i) out[i] -= row[i];
    }
  }
}

// Eq. 12 for one row; ct = C·t.
void AlignRow(const GroupMoment& moment, std::span<const float> w, std::span<const int8_t> t,
              std::span<const double> ct, float& alpha, float& mu) {
  double a = 0;
  double b = 0;
  double y1 = 0;
  double y2 = 0;
  for (int64_t j = 0; j < moment.size; ++j) {
    a += t[j] * ct[j];
    b += t[j] * moment.row_sums[j];
    y1 += w[j] * ct[j];
    y2 += w[j] * moment.row_sums[j];
  }
  const double d = moment.total;
  const double determinant = a * d - b * b;
  if (!(determinant > kVanishing * a * d)) return;
  alpha = static_cast<float>((d * y1 - b * y2) / determinant);
  mu = static_cast<float>((a * y2 - b * y1) / determinant);
}

}  // namespace

absl::Status CpuTernaryOps::AlignGrid(const Tensor& w, const Tensor& trits, const Tensor& h,
                                      const Tensor& columns, const Tensor& alpha,
                                      const Tensor& mu) {
  const int64_t n = w.rows();
  const int64_t g = w.cols();
  assert(trits.rows() == n && trits.cols() == g && columns.elements() == g);
  assert(alpha.elements() == n && mu.elements() == n);
  const GroupMoment moment(h, columns.values<int32_t>());
  const int64_t tiles = (n + kTileRows - 1) / kTileRows;
  pool_.ParallelFor(tiles, [&](int64_t tile) {
    std::vector<double> ct(g);
    const int64_t end = std::min(n, (tile + 1) * kTileRows);
    for (int64_t r = tile * kTileRows; r < end; ++r) {
      const std::span t(trits.data<const int8_t>() + r * g, g);
      MultiplyTrits(moment, t, ct);
      AlignRow(moment, std::span(w.data<const float>() + r * g, g), t, ct, alpha.data<float>()[r],
               mu.data<float>()[r]);
    }
  });
  return absl::OkStatus();
}

}  // namespace tern
