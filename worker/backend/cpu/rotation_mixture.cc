#include <array>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include "checkpoint/status_macros.h"
#include "worker/backend/cpu/cpu_rotation_ops.h"
#include "worker/backend/cpu/vector_math.h"

namespace tern {
namespace {

constexpr double kBalanceWeight = 0.1;

// Weights of the middle component and of each outer one.
struct Weights {
  float zero, outer;
};

Weights WeightsOf(MixtureObjective objective) {
  if (objective == MixtureObjective::kReleased) return {.zero = 1.0f / 3, .outer = 1.0f / 3};
  return {.zero = 0.5f, .outer = 0.25f};
}

// kCount sums over the vectors of a row: float32 over a few at a time, and those in float64, which
// costs too much for every vector.
template <int kCount>
class RowSum {
 public:
  void Add(const std::array<Lanes, kCount>& values) {
    for (int i = 0; i < kCount; ++i) parts_[i] += values[i];
    if (++pending_ == kVectorsAtATime) Flush();
  }

  std::array<double, kCount> Take() {
    Flush();
    std::array<double, kCount> sums;
    for (int i = 0; i < kCount; ++i) sums[i] = SumOf(totals_[i]);
    return sums;
  }

 private:
  static constexpr int kVectorsAtATime = 16;

  void Flush() {
    for (int i = 0; i < kCount; ++i) {
      totals_[i] += ToDouble(parts_[i]);
      parts_[i] = Lanes{};
    }
    pending_ = 0;
  }

  std::array<DoubleLanes, kCount> totals_{};
  std::array<Lanes, kCount> parts_{};
  int pending_ = 0;
};

// A row in units of its own σ: u = |y - mean| / σ under means 0 and ±k, k = c / σ. inverse_sigma is
// 0 for a row of equal values: then u = k = 0, whatever y, and every derivative below is zero.
struct RowScale {
  float mean = 0;
  float inverse_sigma = 0;
  float separation = 0;  // k
  double log_sigma = 0;  // log(σ·√2π)
};

RowScale ScaleOf(const float* y, int64_t m, MixtureObjective objective) {
  const auto count = static_cast<double>(m);
  RowSum<1> sum;
  ForVectors(m, [&](int64_t i, int64_t part) { sum.Add({Load(y + i, part, 0.0f)}); });
  RowScale scale;
  scale.mean = static_cast<float>(sum.Take()[0] / count);
  RowSum<2> deviations;
  ForVectors(m, [&](int64_t i, int64_t part) {
    const Lanes centred = Load(y + i, part, scale.mean) - scale.mean;
    deviations.Add({Max(centred, -centred), centred * centred});
  });
  const auto [deviation, square] = deviations.Take();
  const double c = deviation / count;
  const double sigma = objective == MixtureObjective::kReleased ? c / 4 : std::sqrt(square / count);
  if (sigma < std::numeric_limits<float>::min()) return scale;
  scale.inverse_sigma = static_cast<float>(1 / sigma);
  scale.separation = static_cast<float>(c / sigma);
  scale.log_sigma = std::log(sigma * std::sqrt(2 * std::numbers::pi));
  return scale;
}

// The mixture at some values of a row: responsibilities of the middle component, of the outer one
// on the value's side (near) and of the other (far), and their mean component.
struct Mixture {
  Lanes side;  // the sign of y - mean
  Lanes u;
  Lanes loss;  // without log(σ·√2π)
  Lanes zero, near, far, mean;

  // Derivatives with respect to u, of the loss and of the responsibilities.
  Lanes LossSlope() const { return u - mean; }
  Lanes ZeroSlope() const { return -zero * mean; }
  Lanes NearSlope(float k) const { return near * (k - mean); }
  Lanes FarSlope(float k) const { return far * (-k - mean); }
};

// All from one exponential: with t = u·k - k²/2 the densities are to each other as 1 to e^t to
// e^(-u·k - k²/2), here over the larger of the first two. The far one is d²·e^(-k²) beside the near
// one, d = e^-|t|, and k is at most 4: nothing over- or underflows that matters.
Mixture At(const Lanes& y, const RowScale& scale, const Weights& weights, float far_factor) {
  const float k = scale.separation;
  const Lanes centred = (y - scale.mean) * scale.inverse_sigma;
  Mixture mixture;
  mixture.side = centred < Lanes{} ? Fill(-1.0f) : Fill(1.0f);
  mixture.u = centred * mixture.side;
  const Lanes t = mixture.u * k - 0.5f * k * k;
  const auto is_outer = t > Lanes{};
  const Lanes d = Exp(is_outer ? -t : t);
  const Lanes zero = weights.zero * (is_outer ? d : Fill(1.0f));
  const Lanes near = weights.outer * (is_outer ? Fill(1.0f) : d);
  const Lanes far = weights.outer * far_factor * (is_outer ? d * d : 1.0f / d);
  const Lanes sum = zero + near + far;
  const Lanes inverse = 1.0f / sum;
  mixture.loss = 0.5f * mixture.u * mixture.u - Max(t, Lanes{}) - Log(sum);
  mixture.zero = zero * inverse;
  mixture.near = near * inverse;
  mixture.far = far * inverse;
  mixture.mean = k * (mixture.near - mixture.far);
  return mixture;
}

// Sums over a row: what losses and the mean of the gradient, which centring takes away, are made
// of. Slopes are with respect to y in units of σ.
struct RowSums {
  double loss = 0;
  double zero = 0, plus = 0;  // responsibilities
  double loss_slope = 0, zero_slope = 0, plus_slope = 0;
};

// Calls work(first column, count, mixture) for the vectors of a row. What fills up the last one is
// the row's mean, so that u is 0 there.
template <typename Work>
void ForMixtures(const float* y, int64_t m, const RowScale& scale, const Weights& weights,
                 Work work) {
  const float far_factor = std::exp(-scale.separation * scale.separation);
  ForVectors(m, [&](int64_t i, int64_t part) {
    work(i, part, At(Load(y + i, part, scale.mean), scale, weights, far_factor));
  });
}

// `lanes` with zeros from `count` on.
Lanes First(const Lanes& lanes, int64_t count) {
  if (count == kLanes) return lanes;
  Lanes kept{};
  for (int64_t i = 0; i < count; ++i) kept[i] = lanes[i];
  return kept;
}

RowSums SumsOf(const float* y, int64_t m, const RowScale& scale, const Weights& weights) {
  if (scale.inverse_sigma == 0) {
    const auto count = static_cast<double>(m);
    return {.zero = weights.zero * count, .plus = weights.outer * count};
  }
  RowSum<6> sums;
  const float k = scale.separation;
  ForMixtures(y, m, scale, weights, [&](int64_t, int64_t part, const Mixture& at) {
    const auto is_plus = at.side > Lanes{};
    sums.Add({First(at.loss, part), First(at.zero, part), First(is_plus ? at.near : at.far, part),
              First(at.side * at.LossSlope(), part), First(at.side * at.ZeroSlope(), part),
              First(is_plus ? at.NearSlope(k) : -at.FarSlope(k), part)});
  });
  const auto [loss, zero, plus, loss_slope, zero_slope, plus_slope] = sums.Take();
  return {.loss = loss + scale.log_sigma * static_cast<double>(m),
          .zero = zero,
          .plus = plus,
          .loss_slope = loss_slope,
          .zero_slope = zero_slope,
          .plus_slope = plus_slope};
}

// Derivatives of the balance term, times the number of weights, with respect to responsibilities.
struct Balance {
  double zero = 0, plus = 0, minus = 0;
};

// d_y = the gradient in one row, of which the mean is taken away; `scale_down` is 1 / (n·m).
void WriteGradient(const float* y, int64_t m, const RowScale& scale, const Weights& weights,
                   const Balance& balance, const RowSums& sums, double scale_down, float* d_y) {
  const double minus_slope = -sums.zero_slope - sums.plus_slope;
  const double mean = (sums.loss_slope + balance.zero * sums.zero_slope +
                       balance.plus * sums.plus_slope + balance.minus * minus_slope) /
                      static_cast<double>(m);
  const auto factor = static_cast<float>(scale_down * scale.inverse_sigma);
  const auto shift = static_cast<float>(mean);
  const auto of_zero = static_cast<float>(balance.zero);
  const Lanes of_plus = Fill(static_cast<float>(balance.plus));
  const Lanes of_minus = Fill(static_cast<float>(balance.minus));
  const float k = scale.separation;
  ForMixtures(y, m, scale, weights, [&](int64_t i, int64_t part, const Mixture& at) {
    const auto is_plus = at.side > Lanes{};
    const Lanes slope = at.LossSlope() + of_zero * at.ZeroSlope() +
                        (is_plus ? of_plus : of_minus) * at.NearSlope(k) +
                        (is_plus ? of_minus : of_plus) * at.FarSlope(k);
    Store((at.side * slope - shift) * factor, d_y + i, part);
  });
}

// Loss and, of the released objective, the derivatives of its balance; sums in the order of rows.
struct MatrixLoss {
  double loss = 0;
  double balance_term = 0;
  Balance balance;
};

MatrixLoss ReleasedLoss(const std::vector<RowSums>& rows, double count) {
  MatrixLoss total;
  double zero = 0;
  double plus = 0;
  for (const RowSums& row : rows) {
    total.loss += row.loss;
    zero += row.zero;
    plus += row.plus;
  }
  total.loss /= count;
  const double third = 1.0 / 3;
  const double shares[] = {zero / count - third, plus / count - third,
                           (count - zero - plus) / count - third};
  for (const double share : shares) total.balance_term += kBalanceWeight * share * share;
  total.balance = {.zero = 2 * kBalanceWeight * shares[0],
                   .plus = 2 * kBalanceWeight * shares[1],
                   .minus = 2 * kBalanceWeight * shares[2]};
  return total;
}

double PaperShare(const RowSums& row, int64_t m) { return row.zero / static_cast<double>(m) - 0.5; }

MatrixLoss PaperLoss(const std::vector<RowSums>& rows, int64_t m) {
  MatrixLoss total;
  for (const RowSums& row : rows) {
    const double share = PaperShare(row, m);
    total.loss += row.loss;
    total.balance_term += kBalanceWeight * share * share;
  }
  const auto n = static_cast<double>(rows.size());
  total.loss /= n * static_cast<double>(m);
  total.balance_term /= n;
  return total;
}

}  // namespace

absl::Status CpuRotationOps::RotatedMixtureLoss(const Tensor& w, const Tensor& r1, const Tensor& r2,
                                                MixtureObjective objective, const Tensor& loss,
                                                const Tensor& y, const Tensor& d_y) {
  assert(loss.elements() == 2 && y.elements() == w.elements());
  TERN_RETURN_IF_ERROR(RotateRows(w, r1, r2, y));
  const int64_t n = y.rows();
  const int64_t m = y.cols();
  const auto count = static_cast<double>(n * m);
  const bool released = objective == MixtureObjective::kReleased;
  const Weights weights = WeightsOf(objective);
  const auto* values = y.data<float>();
  std::vector<RowScale> scales(n);
  std::vector<RowSums> sums(n);
  pool_.ParallelFor(n, [&](int64_t r) {
    scales[r] = ScaleOf(values + r * m, m, objective);
    sums[r] = SumsOf(values + r * m, m, scales[r], weights);
  });
  const MatrixLoss total = released ? ReleasedLoss(sums, count) : PaperLoss(sums, m);
  loss.data<float>()[0] = static_cast<float>(total.loss);
  loss.data<float>()[1] = static_cast<float>(total.balance_term);
  if (d_y.empty()) return absl::OkStatus();

  assert(d_y.elements() == y.elements());
  pool_.ParallelFor(n, [&](int64_t r) {
    const Balance balance =
        released ? total.balance : Balance{.zero = 2 * kBalanceWeight * PaperShare(sums[r], m)};
    WriteGradient(values + r * m, m, scales[r], weights, balance, sums[r], 1 / count,
                  d_y.data<float>() + r * m);
  });
  return absl::OkStatus();
}

}  // namespace tern
