#include <algorithm>
#include <cassert>
#include <cstdint>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"
#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

constexpr int64_t kTileRows = 96;

// Σ over the rows of e[rows,m] of e·H·eᵀ = Σ_j e_j·(H_jj·e_j + 2·Σ_{k>j} H_kj·e_k), half the
// products of the whole.
double RowsEnergy(const std::vector<float>& e, int64_t rows, const float* h, int64_t m) {
  double energy = 0;
  std::vector<float> panel(m * kPanelWidth);
  std::vector<float> product(rows * kPanelWidth);
  for (int64_t column = 0; column < m; column += kPanelWidth) {
    const int64_t width = std::min(kPanelWidth, m - column);
    const int64_t depth = m - column;
    PackPanel(h + column * m, m, depth, m, column, panel.data());
    // Of the symmetric block on the diagonal, the part below it counts twice.
    for (int64_t r = 0; r < width; ++r) {
      panel[r * kPanelWidth + r] /= 2;
      std::fill(panel.begin() + r * kPanelWidth + r + 1, panel.begin() + (r + 1) * kPanelWidth,
                0.0f);
    }
    std::fill(product.begin(), product.end(), 0.0f);
    MultiplyPanel(e.data() + column, m, panel.data(), rows, depth, kPanelWidth, product.data(),
                  kPanelWidth);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < width; ++c) {
        energy += 2.0 * product[r * kPanelWidth + c] * e[r * m + column + c];
      }
    }
  }
  return energy;
}

}  // namespace

absl::StatusOr<double> CpuTernaryOps::OutputEnergy(const Tensor& w, const Tensor& w_hat,
                                                   const Tensor& h) {
  const int64_t n = w.rows();
  const int64_t m = w.cols();
  assert(h.rows() == m && h.cols() == m);
  assert(w_hat.empty() || (w_hat.rows() == n && w_hat.cols() == m));
  const int64_t tiles = (n + kTileRows - 1) / kTileRows;
  std::vector<double> energies(tiles);
  pool_.ParallelFor(tiles, [&](int64_t tile) {
    const int64_t first = tile * kTileRows;
    const int64_t rows = std::min(kTileRows, n - first);
    const float* values = w.data<float>() + first * m;
    std::vector<float> e(values, values + rows * m);
    if (!w_hat.empty()) {
      const float* fitted = w_hat.data<float>() + first * m;
      for (int64_t i = 0; i < rows * m; ++i) e[i] -= fitted[i];
    }
    energies[tile] = RowsEnergy(e, rows, h.data<float>(), m);
  });
  double total = 0;
  for (const double energy : energies) total += energy;
  return total;
}

}  // namespace tern
