#include "worker/backend/cpu/dense_products.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

constexpr int64_t kPackedFloats = (32 << 20) / sizeof(float);
constexpr int64_t kTileRows = 128;   // of y: with kDepth a tile of x that stays in the L2 cache
constexpr int64_t kTilePanels = 20;  // of y
constexpr int64_t kDepth = 256;      // a panel this deep stays in the L1 cache

constexpr int64_t kMomentTilePanels = 4;
constexpr int64_t kMomentDepth = 128;  // two panels at once in the L1 cache

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

void InitializeTile(const float* bias, bool accumulate, int64_t rows, int64_t columns,
                    int64_t stride, float* y) {
  for (int64_t row = 0; row < rows; ++row, y += stride) {
    if (!accumulate && bias == nullptr) std::fill_n(y, columns, 0.0f);
    if (!accumulate && bias != nullptr) std::copy_n(bias, columns, y);
    if (accumulate && bias != nullptr) {
      for (int64_t i = 0; i < columns; ++i) y[i] += bias[i];
    }
  }
}

// Rows of x[t,m] cut into chunks of kMomentDepth, each chunk into panels.
class PackedRows {
 public:
  PackedRows(int64_t m, int64_t max_rows)
      : m_(m),
        panels_(PanelCount(m)),
        data_(std::make_unique_for_overwrite<float[]>(max_rows * panels_ * kPanelWidth)) {}

  void Pack(ThreadPool& pool, const float* x, int64_t rows) {
    rows_ = rows;
    pool.ParallelFor(chunks() * panels_, [&](int64_t task) {
      const int64_t chunk = task / panels_, panel = task % panels_;
      PackPanel(x + chunk * kMomentDepth * m_, m_, depth(chunk), m_, panel * kPanelWidth,
                data_.get() + Offset(chunk, panel));
    });
  }

  int64_t panels() const { return panels_; }
  int64_t chunks() const { return CeilDiv(rows_, kMomentDepth); }
  int64_t depth(int64_t chunk) const {
    return std::min(kMomentDepth, rows_ - chunk * kMomentDepth);
  }
  const float* panel(int64_t chunk, int64_t panel) const {
    return data_.get() + Offset(chunk, panel);
  }
  int64_t columns(int64_t panel) const { return std::min(kPanelWidth, m_ - panel * kPanelWidth); }

 private:
  int64_t Offset(int64_t chunk, int64_t panel) const {
    return (chunk * kMomentDepth * panels_ + panel * depth(chunk)) * kPanelWidth;
  }

  int64_t m_, panels_, rows_ = 0;
  std::unique_ptr<float[]> data_;
};

// How many rows to pack at once when each takes `floats`.
int64_t SlabRows(int64_t floats) {
  return std::max<int64_t>(1, kPackedFloats / (floats * kMomentDepth)) * kMomentDepth;
}

// Adds leftᵀ·right to the tile of g whose first panels are given; below the diagonal only when
// `lower`.
void AddMomentTile(const PackedRows& left, const PackedRows& right, int64_t left_panel,
                   int64_t right_panel, bool lower, int64_t stride, float* g) {
  const int64_t left_end = std::min(left_panel + kMomentTilePanels, left.panels());
  const int64_t right_end = std::min(right_panel + kMomentTilePanels, right.panels());
  for (int64_t chunk = 0; chunk < left.chunks(); ++chunk) {
    for (int64_t j = right_panel; j < right_end; ++j) {
      for (int64_t i = lower ? std::max(left_panel, j) : left_panel; i < left_end; ++i) {
        MultiplyTransposedPanel(left.panel(chunk, i), right.panel(chunk, j), left.depth(chunk),
                                left.columns(i), right.columns(j),
                                g + i * kPanelWidth * stride + j * kPanelWidth, stride);
      }
    }
  }
}

}  // namespace

void MultiplyByTransposed(ThreadPool& pool, const float* x, const float* w, const float* bias,
                          bool accumulate, int64_t t, int64_t k, int64_t n, float* y) {
  const int64_t panel_floats = k * kPanelWidth;
  const int64_t slab_panels =
      std::min(PanelCount(n), std::max<int64_t>(1, kPackedFloats / panel_floats));
  const auto packed = std::make_unique_for_overwrite<float[]>(slab_panels * panel_floats);
  const int64_t row_tiles = CeilDiv(t, kTileRows);

  for (int64_t first = 0; first < PanelCount(n); first += slab_panels) {
    const int64_t panels = std::min(slab_panels, PanelCount(n) - first);
    pool.ParallelFor(panels, [&](int64_t panel) {
      PackTransposedPanel(w, k, k, n, (first + panel) * kPanelWidth,
                          packed.get() + panel * panel_floats);
    });
    pool.ParallelFor(row_tiles * CeilDiv(panels, kTilePanels), [&](int64_t task) {
      const int64_t row = task % row_tiles * kTileRows;
      const int64_t rows = std::min(kTileRows, t - row);
      const int64_t begin = task / row_tiles * kTilePanels;
      const int64_t end = std::min(begin + kTilePanels, panels);
      const int64_t first_column = (first + begin) * kPanelWidth;
      InitializeTile(bias == nullptr ? nullptr : bias + first_column, accumulate, rows,
                     std::min(n - first_column, (end - begin) * kPanelWidth), n,
                     y + row * n + first_column);
      for (int64_t i = 0; i < k; i += kDepth) {
        for (int64_t panel = begin; panel < end; ++panel) {
          const int64_t column = (first + panel) * kPanelWidth;
          MultiplyPanel(x + row * k + i, k, packed.get() + panel * panel_floats + i * kPanelWidth,
                        rows, std::min(kDepth, k - i), std::min(kPanelWidth, n - column),
                        y + row * n + column, n);
        }
      }
    });
  }
}

void AddGramLower(ThreadPool& pool, const float* x, int64_t t, int64_t m, float* h) {
  const int64_t tiles = CeilDiv(PanelCount(m), kMomentTilePanels);
  std::vector<std::pair<int64_t, int64_t>> lower;
  for (int64_t i = 0; i < tiles; ++i) {
    for (int64_t j = 0; j <= i; ++j) lower.emplace_back(i, j);
  }
  const int64_t slab = SlabRows(PanelCount(m) * kPanelWidth);
  PackedRows packed(m, std::min(slab, t));
  for (int64_t row = 0; row < t; row += slab) {
    packed.Pack(pool, x + row * m, std::min(slab, t - row));
    pool.ParallelFor(static_cast<int64_t>(lower.size()), [&](int64_t task) {
      AddMomentTile(packed, packed, lower[task].first * kMomentTilePanels,
                    lower[task].second * kMomentTilePanels, /*lower=*/true, m, h);
    });
  }
}

void AddTransposedProduct(ThreadPool& pool, const float* a, const float* b, int64_t t, int64_t m,
                          int64_t n, float* g) {
  const int64_t row_tiles = CeilDiv(PanelCount(m), kMomentTilePanels);
  const int64_t column_tiles = CeilDiv(PanelCount(n), kMomentTilePanels);
  const int64_t slab = SlabRows((PanelCount(m) + PanelCount(n)) * kPanelWidth);
  PackedRows packed_a(m, std::min(slab, t));
  PackedRows packed_b(n, std::min(slab, t));
  for (int64_t row = 0; row < t; row += slab) {
    const int64_t rows = std::min(slab, t - row);
    packed_a.Pack(pool, a + row * m, rows);
    packed_b.Pack(pool, b + row * n, rows);
    pool.ParallelFor(row_tiles * column_tiles, [&](int64_t task) {
      AddMomentTile(packed_a, packed_b, task / column_tiles * kMomentTilePanels,
                    task % column_tiles * kMomentTilePanels, /*lower=*/false, n, g);
    });
  }
}

}  // namespace tern
