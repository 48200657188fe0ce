#include "worker/backend/cpu/upper_factor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

constexpr int64_t kTile = 96;
static_assert(kTile % kPanelWidth == 0, "a panel must lie in one tile");
constexpr int64_t kPanelsPerTile = kTile / kPanelWidth;

// a[n,n] = UᵀU in place, rows `stride` apart, n ≤ kTile. `diagonal` holds a's before any tile was
// eliminated.
bool FactorTile(float* a, int64_t n, int64_t stride, const float* diagonal) {
  for (int64_t k = 0; k < n; ++k) {
    float* row = a + k * stride;
    const float least = std::numeric_limits<float>::epsilon() * diagonal[k];
    if (!(row[k] > least) || !std::isfinite(row[k])) return false;
    const float pivot = std::sqrt(row[k]);
    row[k] = pivot;
    for (int64_t j = k + 1; j < n; ++j) row[j] /= pivot;
    for (int64_t i = k + 1; i < n; ++i) {
      float* below = a + i * stride;
      const float factor = row[i];
      for (int64_t j = i; j < n; ++j) below[j] -= factor * row[j];
    }
  }
  return true;
}

// inverse[n,n] = U⁻¹ for the upper triangle of u, rows `stride` apart, n ≤ kTile; zeros below the
// diagonal. Row i of U·X = I gives x_i = (e_i - Σ_{k>i} u_ik·x_k) / u_ii, from the last row up.
void InvertTile(const float* u, int64_t n, int64_t stride, float* inverse) {
  for (int64_t i = n - 1; i >= 0; --i) {
    float* row = inverse + i * n;
    std::fill_n(row, n, 0.0f);
    for (int64_t k = i + 1; k < n; ++k) {
      const float factor = u[i * stride + k];
      const float* known = inverse + k * n;
      for (int64_t j = k; j < n; ++j) row[j] -= factor * known[j];
    }
    const float pivot = u[i * stride + i];
    row[i] = 1.0f;
    for (int64_t j = i; j < n; ++j) row[j] /= pivot;
  }
}

// The elimination of one tile row: U_k* = U_kk⁻ᵀ·a_k*, then a_ij -= U_kiᵀ·U_kj.
class TileRow {
 public:
  TileRow(ThreadPool& pool, float* a, int64_t n, int64_t first)
      : pool_(pool), a_(a), n_(n), first_(first), after_(first + kTile) {}

  void Eliminate() {
    std::vector<float> inverse(kTile * kTile);
    InvertTile(a_ + first_ * n_ + first_, kTile, n_, inverse.data());
    inverse_.resize(kTile * kTile);
    for (int64_t p = 0; p < kPanelsPerTile; ++p) {
      PackPanel(inverse.data(), kTile, kTile, kTile, p * kPanelWidth,
                inverse_.data() + p * kTile * kPanelWidth);
    }
    const int64_t panels = PanelCount(n_ - after_);
    row_.resize(panels * kTile * kPanelWidth);
    pool_.ParallelFor(panels, [this](int64_t p) { SolvePanel(p); });
    pool_.ParallelFor(panels, [this, panels](int64_t p) {
      for (int64_t q = p; q < panels; ++q) Subtract(p, q);
    });
  }

 private:
  int64_t Column(int64_t panel) const { return after_ + panel * kPanelWidth; }
  int64_t Width(int64_t panel) const { return std::min(kPanelWidth, n_ - Column(panel)); }
  float* Panel(int64_t panel) { return row_.data() + panel * kTile * kPanelWidth; }

  void SolvePanel(int64_t p) {
    float right[kTile * kPanelWidth];
    PackPanel(a_ + first_ * n_, n_, kTile, n_, Column(p), right);
    float* solved = Panel(p);
    std::fill_n(solved, kTile * kPanelWidth, 0.0f);
    for (int64_t i = 0; i < kPanelsPerTile; ++i) {
      MultiplyTransposedPanel(inverse_.data() + i * kTile * kPanelWidth, right, kTile, kPanelWidth,
                              kPanelWidth, solved + i * kPanelWidth * kPanelWidth, kPanelWidth);
    }
    for (int64_t r = 0; r < kTile; ++r) {
      std::copy_n(solved + r * kPanelWidth, Width(p), a_ + (first_ + r) * n_ + Column(p));
    }
  }

  void Subtract(int64_t p, int64_t q) {
    float product[kPanelWidth * kPanelWidth] = {};
    MultiplyTransposedPanel(Panel(p), Panel(q), kTile, Width(p), Width(q), product, kPanelWidth);
    for (int64_t r = 0; r < Width(p); ++r) {
      float* to = a_ + (Column(p) + r) * n_ + Column(q);
      for (int64_t c = 0; c < Width(q); ++c) to[c] -= product[r * kPanelWidth + c];
    }
  }

  ThreadPool& pool_;
  float* const a_;
  const int64_t n_;
  const int64_t first_;
  const int64_t after_;  // the first column after the tile
  std::vector<float> inverse_;
  std::vector<float> row_;  // U_k* beyond the tile, in panels
};

}  // namespace

bool FactorUpper(ThreadPool& pool, float* a, int64_t n) {
  std::vector<float> diagonal(n);
  for (int64_t i = 0; i < n; ++i) diagonal[i] = a[i * n + i];
  for (int64_t first = 0; first < n; first += kTile) {
    const int64_t size = std::min(kTile, n - first);
    if (!FactorTile(a + first * n + first, size, n, diagonal.data() + first)) return false;
    if (first + kTile < n) TileRow(pool, a, n, first).Eliminate();
  }
  return true;
}

void InvertUpper(ThreadPool& pool, const float* u, int64_t n, float* inverse) {
  const int64_t tiles = (n + kTile - 1) / kTile;
  std::vector<float> tile_inverses(tiles * kTile * kTile);
  pool.ParallelFor(tiles, [&](int64_t t) {
    const int64_t first = t * kTile;
    InvertTile(u + first * n + first, std::min(kTile, n - first), n,
               tile_inverses.data() + t * kTile * kTile);
  });
  // A panel of columns depends on no other: X_i = U_ii⁻¹·(I_i - Σ_{k>i} U_ik·X_k) by row tiles.
  pool.ParallelFor(PanelCount(n), [&](int64_t p) {
    const int64_t column = p * kPanelWidth;
    const int64_t width = std::min(kPanelWidth, n - column);
    const int64_t last = column / kTile;
    const int64_t rows = std::min(n, (last + 1) * kTile);
    std::vector<float> x(rows * kPanelWidth);
    const int64_t size = rows - last * kTile;
    PackPanel(tile_inverses.data() + last * kTile * kTile, size, size, size, column - last * kTile,
              x.data() + last * kTile * kPanelWidth);
    for (int64_t t = last - 1; t >= 0; --t) {
      const int64_t after = (t + 1) * kTile;
      float sum[kTile * kPanelWidth] = {};
      MultiplyPanel(u + t * kTile * n + after, n, x.data() + after * kPanelWidth, kTile,
                    rows - after, kPanelWidth, sum, kPanelWidth);
      for (float& value : sum) value = -value;
      MultiplyPanel(tile_inverses.data() + t * kTile * kTile, kTile, sum, kTile, kTile, kPanelWidth,
                    x.data() + t * kTile * kPanelWidth, kPanelWidth);
    }
    for (int64_t r = 0; r < n; ++r) {
      float* to = inverse + r * n + column;
      if (r < rows) {
        std::copy_n(x.data() + r * kPanelWidth, width, to);
      } else {
        std::fill_n(to, width, 0.0f);
      }
    }
  });
}

}  // namespace tern
