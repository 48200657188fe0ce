#include <algorithm>
#include <cassert>
#include <cstdint>
#include <utility>
#include <vector>

#include "worker/backend/cpu/cpu_activation_ops.h"
#include "worker/backend/cpu/cpu_rotation_ops.h"
#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

// Rows of X multiplied at a time: enough for a packed panel to be worth loading, few enough for
// what lies between the two factors to stay in the cache.
constexpr int64_t kTaskRows = 128;
constexpr int64_t kTransposeTile = 32;

// r2 in panels.
std::vector<float> Packed(ThreadPool& pool, const Tensor& r2) {
  const int64_t n2 = r2.rows();
  std::vector<float> packed(PanelCount(n2) * n2 * kPanelWidth);
  pool.ParallelFor(PanelCount(n2), [&](int64_t p) {
    PackPanel(r2.data<float>(), n2, n2, n2, p * kPanelWidth, packed.data() + p * n2 * kPanelWidth);
  });
  return packed;
}

// z[rows,n2] = x[rows,n2]·r2.
void MultiplyRight(const float* x, int64_t rows, int64_t n2, const std::vector<float>& packed,
                   float* z) {
  std::fill_n(z, rows * n2, 0.0f);
  for (int64_t p = 0; p < PanelCount(n2); ++p) {
    const int64_t column = p * kPanelWidth;
    MultiplyPanel(x, n2, packed.data() + p * n2 * kPanelWidth, rows, n2,
                  std::min(kPanelWidth, n2 - column), z + column, n2);
  }
}

// out[n1,n2] = r1·z; `panel` has room for one of n1 rows.
void MultiplyLeft(const Tensor& r1, const float* z, int64_t n2, float* panel, float* out) {
  const int64_t n1 = r1.rows();
  std::fill_n(out, n1 * n2, 0.0f);
  for (int64_t column = 0; column < n2; column += kPanelWidth) {
    PackPanel(z, n2, n1, n2, column, panel);
    MultiplyPanel(r1.data<float>(), n1, panel, n1, n1, std::min(kPanelWidth, n2 - column),
                  out + column, n2);
  }
}

// a[m,m] = aᵀ, two tiles at a time.
void TransposeInPlace(ThreadPool& pool, float* a, int64_t m) {
  const int64_t tiles = (m + kTransposeTile - 1) / kTransposeTile;
  pool.ParallelFor(tiles, [&](int64_t i) {
    const int64_t row_end = std::min(m, (i + 1) * kTransposeTile);
    for (int64_t j = i; j < tiles; ++j) {
      const int64_t column_end = std::min(m, (j + 1) * kTransposeTile);
      for (int64_t r = i * kTransposeTile; r < row_end; ++r) {
        for (int64_t c = std::max(r + 1, j * kTransposeTile); c < column_end; ++c) {
          std::swap(a[r * m + c], a[c * m + r]);
        }
      }
    }
  });
}

}  // namespace

absl::Status CpuRotationOps::RotateRows(const Tensor& x, const Tensor& r1, const Tensor& r2,
                                        const Tensor& out) {
  const int64_t n1 = r1.rows();
  const int64_t n2 = r2.rows();
  assert(r1.cols() == n1 && r2.cols() == n2 && x.cols() == n1 * n2);
  assert(out.rows() == x.rows() && out.cols() == x.cols());
  const std::vector<float> packed = Packed(pool_, r2);
  const int64_t task_rows = std::max<int64_t>(1, kTaskRows / n1);
  pool_.ParallelFor((x.rows() + task_rows - 1) / task_rows, [&](int64_t task) {
    const int64_t first = task * task_rows;
    const int64_t rows = std::min(task_rows, x.rows() - first);
    std::vector<float> z(rows * x.cols());
    std::vector<float> panel(n1 * kPanelWidth);
    MultiplyRight(x.data<float>() + first * x.cols(), rows * n1, n2, packed, z.data());
    for (int64_t r = 0; r < rows; ++r) {
      MultiplyLeft(r1, z.data() + r * x.cols(), n2, panel.data(),
                   out.data<float>() + (first + r) * x.cols());
    }
  });
  return absl::OkStatus();
}

absl::Status CpuRotationOps::QuantizeRotatedRows(const Tensor& x, const Tensor& r1,
                                                 const Tensor& r2, int bits, double clip,
                                                 const Tensor& out) {
  absl::Status status = RotateRows(x, r1, r2, out);
  status.Update(CpuActivationOps(pool_).Quantize(out, bits, clip, out));
  return status;
}

absl::Status CpuRotationOps::RotateMoment(const Tensor& moment, const Tensor& r1, const Tensor& r2,
                                          const Tensor& out) {
  assert(moment.rows() == moment.cols());
  absl::Status status = RotateRows(moment, r1, r2, out);
  TransposeInPlace(pool_, out.data<float>(), out.rows());
  status.Update(RotateRows(out, r1, r2, out));
  TransposeInPlace(pool_, out.data<float>(), out.rows());
  return status;
}

}  // namespace tern
