#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "worker/backend/cpu/cpu_rotation_ops.h"
#include "worker/backend/cpu/dense_products.h"
#include "worker/backend/cpu/panel_product.h"

namespace tern {
namespace {

// Parts of the rows, whose sums are added up in order; fixed, so that bits do not depend on
// threads.
constexpr int64_t kParts = 16;

constexpr double kMeanDecay = 0.9;
constexpr double kSquareDecay = 0.999;
constexpr float kAdamEpsilon = 1e-8f;

// sum[n1,n1] += Σ Y·Gᵀ over `rows` rows of y and d_y.
void AddRowProducts(const float* y, const float* d_y, int64_t rows, int64_t n1, int64_t n2,
                    float* sum) {
  std::vector<float> panel(n2 * kPanelWidth);
  for (int64_t r = 0; r < rows; ++r, y += n1 * n2, d_y += n1 * n2) {
    for (int64_t column = 0; column < n1; column += kPanelWidth) {
      PackTransposedPanel(d_y, n2, n2, n1, column, panel.data());
      MultiplyPanel(y, n2, panel.data(), n1, n2, std::min(kPanelWidth, n1 - column), sum + column,
                    n1);
    }
  }
}

// Σ Y·Gᵀ [n1,n1] and Σ Gᵀ·Y [n2,n2] over some rows.
struct ProductSums {
  std::vector<float> left, right;
};

void Add(const std::vector<float>& from, std::vector<float>& to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

// Over all rows. A factor is too small for its elements to occupy the threads.
ProductSums SumOfRowProducts(ThreadPool& pool, const Tensor& y, const Tensor& d_y, int64_t n1,
                             int64_t n2) {
  std::vector<ProductSums> parts(std::min(kParts, y.rows()));
  const auto count = static_cast<int64_t>(parts.size());
  pool.ParallelFor(count, [&](int64_t p) {
    const int64_t first = y.rows() * p / count;
    const int64_t rows = y.rows() * (p + 1) / count - first;
    const float* of_y = y.data<float>() + first * y.cols();
    const float* of_g = d_y.data<float>() + first * y.cols();
    parts[p].left.resize(n1 * n1);
    parts[p].right.resize(n2 * n2);
    AddRowProducts(of_y, of_g, rows, n1, n2, parts[p].left.data());
    AddTransposedProduct(pool, of_g, of_y, rows * n1, n2, n2, parts[p].right.data());
  });
  for (int64_t p = 1; p < count; ++p) {
    Add(parts[p].left, parts[0].left);
    Add(parts[p].right, parts[0].right);
  }
  return std::move(parts[0]);
}

}  // namespace

absl::Status CpuRotationOps::FactorGradients(const Tensor& y, const Tensor& d_y, const Tensor& r1,
                                             const Tensor& r2, const Tensor& d_r1,
                                             const Tensor& d_r2) {
  const int64_t n1 = r1.rows();
  const int64_t n2 = r2.rows();
  assert(y.cols() == n1 * n2 && y.rows() > 0 && d_y.elements() == y.elements());
  assert(d_r1.elements() == n1 * n1 && d_r2.elements() == n2 * n2);
  const ProductSums sums = SumOfRowProducts(pool_, y, d_y, n1, n2);
  std::fill_n(d_r1.data<float>(), n1 * n1, 0.0f);
  AddTransposedProduct(pool_, sums.left.data(), r1.data<float>(), n1, n1, n1, d_r1.data<float>());
  MultiplyByTransposed(pool_, r2.data<float>(), sums.right.data(), nullptr, false, n2, n2, n2,
                       d_r2.data<float>());
  return absl::OkStatus();
}

absl::Status CpuRotationOps::AdamStep(const Tensor& gradient, int64_t step, double rate,
                                      const Tensor& mean, const Tensor& square, const Tensor& s) {
  assert(step > 0 && mean.elements() == s.elements() && square.elements() == s.elements());
  const auto power = static_cast<double>(step);
  const auto mean_scale = static_cast<float>(rate / (1 - std::pow(kMeanDecay, power)));
  const auto square_scale = static_cast<float>(1 / (1 - std::pow(kSquareDecay, power)));
  const auto* g = gradient.data<float>();
  auto* m = mean.data<float>();
  auto* v = square.data<float>();
  auto* to = s.data<float>();
  for (int64_t i = 0; i < s.elements(); ++i) {
    m[i] += static_cast<float>(1 - kMeanDecay) * (g[i] - m[i]);
    v[i] += static_cast<float>(1 - kSquareDecay) * (g[i] * g[i] - v[i]);
    to[i] -= mean_scale * m[i] / (std::sqrt(square_scale * v[i]) + kAdamEpsilon);
  }
  return absl::OkStatus();
}

absl::Status CpuRotationOps::DescentStep(const Tensor& gradient, double rate, const Tensor& s) {
  assert(gradient.elements() == s.elements());
  const auto factor = static_cast<float>(rate);
  for (int64_t i = 0; i < s.elements(); ++i) {
    s.data<float>()[i] -= factor * gradient.data<float>()[i];
  }
  return absl::OkStatus();
}

}  // namespace tern
