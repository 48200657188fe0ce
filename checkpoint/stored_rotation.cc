#include "checkpoint/stored_rotation.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "checkpoint/float_conversion.h"

// A second compilation for processors with wider vectors, chosen at run time. It has no fused
// multiply-add, so the bits are the same.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TERN_WIDE_VECTORS_TOO __attribute__((target_clones("avx2", "default")))
#else
#define TERN_WIDE_VECTORS_TOO
#endif

namespace tern {
namespace {

constexpr int64_t kTileRows = 4;
constexpr int64_t kPanelCols = 16;
constexpr int64_t kDotLanes = 8;

using Lanes = float __attribute__((vector_size(8 * sizeof(float))));
constexpr int64_t kTileLanes = kPanelCols / 8;

// c[kHeight, width] = a[kHeight, inner]·panel[inner, kPanelCols], without the panel's last columns
// where width is less.
template <int64_t kHeight>
[[gnu::always_inline]] inline void MultiplyTile(const float* a, int64_t inner, const float* panel,
                                                int64_t width, int64_t cols, float* c) {
  Lanes sums[kHeight][kTileLanes] = {};
  for (int64_t k = 0; k < inner; ++k) {
    Lanes b[kTileLanes];
    std::memcpy(b, panel + k * kPanelCols, sizeof(b));
    for (int64_t i = 0; i < kHeight; ++i) {
      for (int64_t j = 0; j < kTileLanes; ++j) sums[i][j] += a[i * inner + k] * b[j];
    }
  }
  for (int64_t i = 0; i < kHeight; ++i) std::memcpy(c + i * cols, sums[i], width * sizeof(float));
}

// c[rows,cols] = a[rows,inner]·b[inner,cols]; every element is summed in the order of `inner`,
// whatever tile it lies in.
TERN_WIDE_VECTORS_TOO
void Multiply(const float* a, const float* b, int64_t rows, int64_t inner, int64_t cols, float* c) {
  std::vector<float> panel(inner * kPanelCols);
  for (int64_t col = 0; col < cols; col += kPanelCols) {
    const int64_t width = std::min(kPanelCols, cols - col);
    for (int64_t k = 0; k < inner; ++k) {
      std::memcpy(panel.data() + k * kPanelCols, b + k * cols + col, width * sizeof(float));
    }
    int64_t row = 0;
    for (; row + kTileRows <= rows; row += kTileRows) {
      MultiplyTile<kTileRows>(a + row * inner, inner, panel.data(), width, cols,
                              c + row * cols + col);
    }
    for (; row < rows; ++row) {
      MultiplyTile<1>(a + row * inner, inner, panel.data(), width, cols, c + row * cols + col);
    }
  }
}

TERN_WIDE_VECTORS_TOO
float Dot(const float* a, const float* b, int64_t n) {
  float sums[kDotLanes] = {};
  int64_t k = 0;
  for (; k + kDotLanes <= n; k += kDotLanes) {
    for (int64_t lane = 0; lane < kDotLanes; ++lane) sums[lane] += a[k + lane] * b[k + lane];
  }
  float sum = 0;
  for (const float of_lane : sums) sum += of_lane;
  for (; k < n; ++k) sum += a[k] * b[k];
  return sum;
}

std::vector<float> Widened(std::span<const uint16_t> halves) {
  std::vector<float> values(halves.size());
  HalfToFloat(halves, values);
  return values;
}

std::vector<float> Transposed(const std::vector<float>& values, int64_t n) {
  std::vector<float> transposed(values.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) transposed[j * n + i] = values[i * n + j];
  }
  return transposed;
}

}  // namespace

double OrthogonalityError(std::span<const uint16_t> factor, int64_t n) {
  assert(static_cast<int64_t>(factor.size()) == n * n);
  const std::vector<float> values = Widened(factor);
  double error = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const double dot = Dot(values.data() + i * n, values.data() + j * n, n);
      error = std::max(error, std::abs(dot - (i == j ? 1.0 : 0.0)));
    }
  }
  return error;
}

double OrthogonalityError(const StoredRotation& rotation) {
  return std::max(OrthogonalityError(rotation.r1, rotation.shape.n1),
                  OrthogonalityError(rotation.r2, rotation.shape.n2));
}

RotationFold::RotationFold(const StoredRotation& rotation)
    : n1_(rotation.shape.n1),
      n2_(rotation.shape.n2),
      left_(Transposed(Widened(rotation.r1), n1_)),
      right_(Transposed(Widened(rotation.r2), n2_)) {}

void RotationFold::Apply(std::span<float> rows) const {
  const int64_t cols = n1_ * n2_;
  const int64_t count = static_cast<int64_t>(rows.size()) / cols;
  assert(static_cast<int64_t>(rows.size()) == count * cols);
  std::vector<float> product(rows.size());
  Multiply(rows.data(), right_.data(), count * n1_, n2_, n2_, product.data());
  for (int64_t row = 0; row < count; ++row) {
    Multiply(left_.data(), product.data() + row * cols, n1_, n1_, n2_, rows.data() + row * cols);
  }
}

}  // namespace tern
