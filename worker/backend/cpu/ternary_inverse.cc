#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"
#include "worker/backend/cpu/panel_product.h"
#include "worker/backend/cpu/upper_factor.h"

namespace tern {
namespace {

// Columns [column, column + kPanelWidth) of inverse = X·Xᵀ down to the diagonal, X upper, and their
// mirror image.
void MultiplyByOwnTranspose(const float* x, int64_t m, int64_t column, float* inverse) {
  const int64_t width = std::min(kPanelWidth, m - column);
  const int64_t rows = column + width;
  const int64_t depth = m - column;  // rows `column` and below of Xᵀ's panel are zero to the left
  std::vector<float> panel(depth * kPanelWidth);
  PackTransposedPanel(x + column, m, depth, m, column, panel.data());
  for (int64_t r = 0; r < rows; ++r) std::fill_n(inverse + r * m + column, width, 0.0f);
  MultiplyPanel(x + column, m, panel.data(), rows, depth, width, inverse + column, m);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = std::max(column, r + 1); c < rows; ++c) {
      inverse[c * m + r] = inverse[r * m + c];
    }
  }
}

}  // namespace

absl::StatusOr<bool> CpuTernaryOps::InvertDamped(const Tensor& h, double damping,
                                                 const Tensor& inverse) {
  const int64_t m = h.rows();
  assert(h.cols() == m && inverse.elements() == m * m);
  const float* from = h.data<float>();
  float* factor = inverse.data<float>();
  pool_.ParallelFor(m, [&](int64_t r) {
    std::copy_n(from + r * m, m, factor + r * m);
    const float diagonal = from[r * m + r];
    factor[r * m + r] = static_cast<float>((diagonal > 0 ? diagonal : 1.0) + damping);
  });
  if (!FactorUpper(pool_, factor, m)) return false;
  const auto factor_inverse = std::make_unique<float[]>(m * m);
  InvertUpper(pool_, factor, m, factor_inverse.get());
  pool_.ParallelFor(PanelCount(m), [&](int64_t p) {
    MultiplyByOwnTranspose(factor_inverse.get(), m, p * kPanelWidth, factor);
  });
  return true;
}

}  // namespace tern
