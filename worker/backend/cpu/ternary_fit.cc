#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {
namespace {

constexpr int64_t kTileRows = 32;

// What fitting found in some rows of a group.
struct GridCounts {
  int32_t rounds = 0;
  int32_t constant_rows = 0;
};

// The grid of one row of a group.
struct RowGrid {
  double alpha = 0;
  double mu = 0;
  int32_t rounds = 0;
  bool constant = false;  // t ended constant
};

double Sum(std::span<const float> w) {
  double sum = 0;
  for (const float value : w) sum += value;
  return sum;
}

// t = sign(w - μ) beyond `half` of μ, 0 within. Returns whether t changed.
bool AssignTrits(std::span<const float> w, double mu, double half, std::span<int8_t> t) {
  const auto low = static_cast<float>(mu - half);
  const auto high = static_cast<float>(mu + half);
  int changed = 0;
  for (size_t j = 0; j < w.size(); ++j) {
    const auto nearest =
        static_cast<int8_t>(static_cast<int>(w[j] > high) - static_cast<int>(w[j] < low));
    changed |= nearest ^ t[j];
    t[j] = nearest;
  }
  return changed != 0;
}

// t and α for the grid's μ: Δ = 0.75·mean|w - μ|, α = Σ t(w - μ) / Σ|t|.
void ThresholdGrid(std::span<const float> w, RowGrid& grid, std::span<int8_t> t) {
  const auto g = static_cast<double>(w.size());
  double deviation = 0;
  for (const float value : w) deviation += std::abs(value - grid.mu);
  AssignTrits(w, grid.mu, 0.75 * deviation / g, t);
  double beyond = 0;
  int64_t count = 0;
  for (size_t j = 0; j < w.size(); ++j) {
    beyond += t[j] * (w[j] - grid.mu);
    count += std::abs(t[j]);
  }
  grid.alpha = count > 0 ? beyond / static_cast<double>(count) : 0;
}

// Eq. 4, 5.
RowGrid InitialGrid(std::span<const float> w, double sum, std::span<int8_t> t) {
  RowGrid grid;
  grid.mu = sum / static_cast<double>(w.size());
  ThresholdGrid(w, grid, t);
  return grid;
}

// Eq. 9: the least-squares α and μ for t. False, and α kept, while t is constant.
bool SolveGrid(std::span<const float> w, double sum, std::span<const int8_t> t, RowGrid& grid) {
  const auto g = static_cast<double>(w.size());
  int64_t plus = 0;
  int64_t minus = 0;
  double product = 0;
  for (size_t j = 0; j < w.size(); ++j) {
    product += static_cast<double>(t[j]) * w[j];
    plus += static_cast<int64_t>(t[j] > 0);
    minus += static_cast<int64_t>(t[j] < 0);
  }
  const auto sum_t = static_cast<double>(plus - minus);
  const auto sum_tt = static_cast<double>(plus + minus);
  const double determinant = g * sum_tt - sum_t * sum_t;  // an integer: 0 exactly for constant t
  const bool determined = determinant > 0;
  if (determined) grid.alpha = (g * product - sum_t * sum) / determinant;
  grid.mu = (sum - grid.alpha * sum_t) / g;
  return determined;
}

bool IsConstant(std::span<const int8_t> t) {
  return std::all_of(t.begin(), t.end(), [&](int8_t value) { return value == t[0]; });
}

RowGrid FitRow(std::span<const float> w, int max_rounds, std::span<int8_t> t) {
  const double sum = Sum(w);
  RowGrid grid = InitialGrid(w, sum, t);
  // t never falls with w, so α, their regression, is never negative and α/2 is the half-way point
  // between neighbouring levels.
  bool changed = true;
  while (changed && grid.rounds < max_rounds) {
    SolveGrid(w, sum, t, grid);
    changed = AssignTrits(w, grid.mu, grid.alpha / 2, t);
    ++grid.rounds;
  }
  grid.constant = IsConstant(t);
  return grid;
}

// Stage 1 of E2M-ATQ. With the mean of the residual added, μ is mean(w) - α·mean(t).
RowGrid FitRowByThreshold(std::span<const float> w, int rounds, std::span<int8_t> t) {
  const double sum = Sum(w);
  RowGrid grid = InitialGrid(w, sum, t);
  for (; grid.rounds < rounds; ++grid.rounds) {
    const auto sum_t = static_cast<double>(std::accumulate(t.begin(), t.end(), int64_t{0}));
    grid.mu = (sum - grid.alpha * sum_t) / static_cast<double>(w.size());
    ThresholdGrid(w, grid, t);
  }
  grid.constant = IsConstant(t);
  return grid;
}

// Fits every row of w by fit_row(row, its trits).
template <typename FitOneRow>
void FitRows(ThreadPool& pool, const Tensor& w, const Tensor& trits, const Tensor& alpha,
             const Tensor& mu, const Tensor& counts, FitOneRow fit_row) {
  const int64_t n = w.rows();
  const int64_t g = w.cols();
  assert(trits.rows() == n && trits.cols() == g);
  assert(alpha.elements() == n && mu.elements() == n);
  const int64_t tiles = (n + kTileRows - 1) / kTileRows;
  std::vector<GridCounts> found(tiles);
  pool.ParallelFor(tiles, [&](int64_t tile) {
    const int64_t end = std::min(n, (tile + 1) * kTileRows);
    for (int64_t r = tile * kTileRows; r < end; ++r) {
      const std::span row(w.data<float>() + r * g, g);
      const std::span t(trits.data<int8_t>() + r * g, g);
      std::fill(t.begin(), t.end(), int8_t{0});
      const RowGrid grid = fit_row(row, t);
      alpha.data<float>()[r] = static_cast<float>(grid.alpha);
      mu.data<float>()[r] = static_cast<float>(grid.mu);
      found[tile].rounds += grid.rounds;
      found[tile].constant_rows += static_cast<int32_t>(grid.constant);
    }
  });
  for (const GridCounts& of_tile : found) {
    counts.data<int32_t>()[0] += of_tile.rounds;
    counts.data<int32_t>()[1] += of_tile.constant_rows;
  }
}

}  // namespace

absl::Status CpuTernaryOps::FitGrid(const Tensor& w, int max_rounds, const Tensor& trits,
                                    const Tensor& alpha, const Tensor& mu, const Tensor& counts) {
  FitRows(pool_, w, trits, alpha, mu, counts, [&](std::span<const float> row, std::span<int8_t> t) {
    return FitRow(row, max_rounds, t);
  });
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::FitGridByThreshold(const Tensor& w, int rounds, const Tensor& trits,
                                               const Tensor& alpha, const Tensor& mu,
                                               const Tensor& counts) {
  FitRows(pool_, w, trits, alpha, mu, counts, [&](std::span<const float> row, std::span<int8_t> t) {
    return FitRowByThreshold(row, rounds, t);
  });
  return absl::OkStatus();
}

}  // namespace tern
