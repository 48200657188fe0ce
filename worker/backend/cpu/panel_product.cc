#include "worker/backend/cpu/panel_product.h"

#include <algorithm>
#include <cstring>

#include "worker/backend/cpu/vector_math.h"

namespace tern {
namespace {

constexpr int kVectors = 3;
static_assert(kPanelWidth == kVectors * kLanes);
constexpr int kTileRows = 4;  // 4 × 3 accumulators, 3 vectors of B, 1 of A: 16 registers

// c[kRows, columns] += a · panel, where a's element (r, i) is a[r · row_stride + i · kStep] (kStep
// 1) or the transpose of a panel (row_stride 1, kStep kPanelWidth).
template <int kRows, int64_t kStep>
inline void MultiplyTile(const float* a, int64_t row_stride, const float* panel, int64_t k,
                         int64_t columns, float* c, int64_t c_stride) {
  Lanes sum[kRows][kVectors] = {};
  for (int64_t i = 0; i < k; ++i) {
    const float* row = panel + i * kPanelWidth;
    const Lanes b[kVectors] = {Load(row), Load(row + kLanes), Load(row + 2 * kLanes)};
    for (int r = 0; r < kRows; ++r) {
      const float factor = a[r * row_stride + i * kStep];
      for (int v = 0; v < kVectors; ++v) sum[r][v] += factor * b[v];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* to = c + r * c_stride;
    if (columns == kPanelWidth) {
      for (int v = 0; v < kVectors; ++v) Store(Load(to + v * kLanes) + sum[r][v], to + v * kLanes);
    } else {
      float row[kPanelWidth];
      for (int v = 0; v < kVectors; ++v) Store(sum[r][v], row + v * kLanes);
      for (int64_t j = 0; j < columns; ++j) to[j] += row[j];
    }
  }
}

template <int64_t kStep>
void MultiplyRows(const float* a, int64_t row_stride, const float* panel, int64_t m, int64_t k,
                  int64_t columns, float* c, int64_t c_stride) {
  int64_t row = 0;
  for (; row + kTileRows <= m; row += kTileRows) {
    MultiplyTile<kTileRows, kStep>(a + row * row_stride, row_stride, panel, k, columns,
                                   c + row * c_stride, c_stride);
  }
  for (; row < m; ++row) {
    MultiplyTile<1, kStep>(a + row * row_stride, row_stride, panel, k, columns, c + row * c_stride,
                           c_stride);
  }
}

}  // namespace

void PackPanel(const float* b, int64_t stride, int64_t k, int64_t n, int64_t column, float* panel) {
  const int64_t width = std::min(kPanelWidth, n - column);
  for (int64_t i = 0; i < k; ++i) {
    float* row = panel + i * kPanelWidth;
    if (width == kPanelWidth) {
      std::memcpy(row, b + i * stride + column, kPanelWidth * sizeof(float));
    } else {
      std::copy_n(b + i * stride + column, width, row);
      std::fill_n(row + width, kPanelWidth - width, 0.0f);
    }
  }
}

void PackTransposedPanel(const float* b, int64_t stride, int64_t k, int64_t n, int64_t column,
                         float* panel) {
  const int64_t width = std::min(kPanelWidth, n - column);
  // A strip of 16 steps at a time: a cache line of every row of b is read whole, and what is
  // written stays in the first-level cache.
  constexpr int64_t kStrip = 16;
  for (int64_t first = 0; first < k; first += kStrip) {
    const int64_t last = std::min(first + kStrip, k);
    for (int64_t j = 0; j < width; ++j) {
      const float* row = b + (column + j) * stride;
      for (int64_t i = first; i < last; ++i) panel[i * kPanelWidth + j] = row[i];
    }
    for (int64_t i = first; i < last; ++i) {
      std::fill_n(panel + i * kPanelWidth + width, kPanelWidth - width, 0.0f);
    }
  }
}

void MultiplyPanel(const float* a, int64_t a_stride, const float* panel, int64_t m, int64_t k,
                   int64_t columns, float* c, int64_t c_stride) {
  MultiplyRows<1>(a, a_stride, panel, m, k, columns, c, c_stride);
}

void MultiplyTransposedPanel(const float* left, const float* right, int64_t k, int64_t rows,
                             int64_t columns, float* c, int64_t c_stride) {
  MultiplyRows<kPanelWidth>(left, 1, right, rows, k, columns, c, c_stride);
}

}  // namespace tern
