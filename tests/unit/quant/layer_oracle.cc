#include "tests/unit/quant/layer_oracle.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "checkpoint/float_conversion.h"

namespace tern {
namespace {

struct Grid {
  std::vector<double> t;
  double alpha = 0;
  double mu = 0;
};

double Half(double value) { return HalfToFloat(FloatToHalf(static_cast<float>(value))); }

// Least squares of w on t and 1 in the metric c; false where t and 1 are parallel.
bool Regress(const std::vector<double>& w, const Matrix& c, Grid& grid) {
  double a = 0, b = 0, d = 0, y1 = 0, y2 = 0;
  for (int64_t i = 0; i < c.rows(); ++i) {
    for (int64_t j = 0; j < c.rows(); ++j) {
      a += grid.t[i] * c(i, j) * grid.t[j];
      b += grid.t[i] * c(i, j);
      d += c(i, j);
      y1 += w[i] * c(i, j) * grid.t[j];
      y2 += w[i] * c(i, j);
    }
  }
  const double determinant = a * d - b * b;
  if (determinant <= 1e-9 * a * d) return false;
  grid.alpha = (d * y1 - b * y2) / determinant;
  grid.mu = (a * y2 - b * y1) / determinant;
  return true;
}

Grid FitRow(const std::vector<double>& w, const Matrix& c, const QuantRecipe& options) {
  const auto g = static_cast<double>(w.size());
  Grid grid;
  grid.t.resize(w.size());
  grid.mu = std::accumulate(w.begin(), w.end(), 0.0) / g;
  double threshold = 0;
  for (const double value : w) threshold += 0.75 * std::abs(value - grid.mu) / g;
  double beyond = 0;
  double count = 0;
  for (size_t j = 0; j < w.size(); ++j) {
    const double deviation = w[j] - grid.mu;
    grid.t[j] = deviation > threshold ? 1 : deviation < -threshold ? -1 : 0;
    beyond += grid.t[j] * deviation;
    count += std::abs(grid.t[j]);
  }
  grid.alpha = beyond / count;
  for (bool changed = options.fit == GridFit::kItf; changed;) {
    Regress(w, Identity(static_cast<int64_t>(w.size())), grid);
    const std::vector<double> before = grid.t;
    for (size_t j = 0; j < w.size(); ++j) {
      grid.t[j] = std::clamp(std::round((w[j] - grid.mu) / grid.alpha), -1.0, 1.0);
    }
    changed = grid.t != before;
  }
  if (options.align) Regress(w, c, grid);
  return {grid.t, Half(grid.alpha), Half(grid.mu)};
}

std::vector<double> Similarity(const Matrix& w) {
  Matrix unit = w;
  for (int64_t j = 0; j < w.cols(); ++j) {
    const double norm = Norm(Columns(w, j, 1));
    for (int64_t r = 0; r < w.rows(); ++r) unit(r, j) /= norm;
  }
  const Matrix mean = unit * Matrix(w.cols(), 1, 1.0 / static_cast<double>(w.cols()));
  return (Transposed(mean) * unit).values();
}

}  // namespace

OracleLayer QuantizeByOracle(const Matrix& weight, const Matrix& hessian, const Matrix& cross,
                             const QuantRecipe& options, const std::vector<double>& static_scores) {
  const int64_t n = weight.rows();
  const int64_t m = weight.cols();
  const Matrix damped =
      hessian + options.damping * Trace(hessian) / static_cast<double>(m) * Identity(m);
  OracleLayer layer;
  layer.trits = Matrix(n, m);
  layer.reconstruction = Matrix(n, m);
  Matrix w = weight;  // as compensated so far
  std::vector<int32_t> remaining = Range(m);
  while (!remaining.empty()) {
    const auto width = static_cast<int64_t>(remaining.size());
    const int64_t g = std::min(options.group_size, width);
    std::vector<double> scores(m);
    if (options.reorder == Reorder::kSsr) {
      const std::vector<double> similarity = Similarity(Columns(w, remaining));
      for (int64_t i = 0; i < width; ++i) scores[remaining[i]] = similarity[i];
    } else {
      scores = static_scores;
    }
    std::vector<int32_t> order = remaining;
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    std::sort(order.begin() + g, order.end());

    const Matrix w_b = Columns(w, std::span(order).first(g));
    const Matrix c = Submatrix(hessian, std::span(order).first(g), std::span(order).first(g));
    Matrix error(n, g);
    for (int64_t r = 0; r < n; ++r) {
      const Grid grid = FitRow(Rows(w_b, r, 1).values(), c, options);
      for (int64_t j = 0; j < g; ++j) {
        const double value = grid.alpha * grid.t[j] + grid.mu;
        layer.trits(r, static_cast<int64_t>(layer.order.size()) + j) = grid.t[j];
        layer.reconstruction(r, order[j]) = value;
        error(r, j) = w_b(r, j) - value;
      }
    }
    layer.order.insert(layer.order.end(), order.begin(), order.begin() + g);
    remaining.assign(order.begin() + g, order.end());
    if (remaining.empty()) break;

    const Matrix u = UpperFactor(Inverse(Submatrix(damped, order, order)));
    const Matrix u_bb = Columns(Rows(u, 0, g), 0, g);
    const Matrix u_br = Columns(Rows(u, 0, g), g, width - g);
    Matrix transfer = error;
    if (options.compensation == Compensation::kExact) {
      transfer = error * Inverse(u_bb);
    } else {
      for (int64_t r = 0; r < n; ++r) {
        for (int64_t j = 0; j < g; ++j) transfer(r, j) /= u(j, j);
      }
    }
    Matrix change = -1.0 * (transfer * u_br);
    if (options.gptaq > 0) {
      Matrix inner = Submatrix(cross - damped, order, order) * Transposed(u);
      for (int64_t i = 0; i < width; ++i) {
        for (int64_t j = 0; j <= i; ++j) inner(i, j) = 0;
      }
      const Matrix p = options.gptaq * (inner * u);
      change = change + w_b * Columns(Rows(p, 0, g), g, width - g);
    }
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t j = 0; j < width - g; ++j) w(r, remaining[j]) += change(r, j);
    }
  }
  return layer;
}

}  // namespace tern
