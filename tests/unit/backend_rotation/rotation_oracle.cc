#include "tests/unit/backend_rotation/rotation_oracle.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tern {
namespace {

double MeanOfRow(const Matrix& y, int64_t r) {
  double sum = 0;
  for (int64_t j = 0; j < y.cols(); ++j) sum += y(r, j);
  return sum / static_cast<double>(y.cols());
}

// The logarithm of a component's weighted density.
double LogPart(double weight, double y, double mean, double sigma) {
  const double z = (y - mean) / sigma;
  return std::log(weight / (sigma * std::sqrt(2 * std::numbers::pi))) - z * z / 2;
}

}  // namespace

Matrix RotatedRows(const Matrix& x, const Matrix& r1, const Matrix& r2) {
  Matrix rotated(x.rows(), x.cols());
  for (int64_t r = 0; r < x.rows(); ++r) {
    const Matrix row = r1 * Matrix(r1.rows(), r2.rows(), Rows(x, r, 1).values()) * r2;
    std::copy(row.values().begin(), row.values().end(), rotated.values().begin() + r * x.cols());
  }
  return rotated;
}

Matrix CayleyOf(const Matrix& s) {
  const Matrix a = s - Transposed(s);
  return Inverse(Identity(s.rows()) + a) * (Identity(s.rows()) - a);
}

Matrix RandomRotation(int64_t k, uint32_t seed) {
  Matrix r = CayleyOf(0.5 * RandomMatrix(k, k, seed));
  for (double& value : r.values()) value = static_cast<float>(value);
  return r;
}

double OrthogonalityErrorOf(const Matrix& r) {
  const Matrix error = Transposed(r) * r - Identity(r.rows());
  double largest = 0;
  for (const double value : error.values()) largest = std::max(largest, std::abs(value));
  return largest;
}

MixtureScales ScalesOf(const Matrix& y, MixtureObjective objective) {
  const auto m = static_cast<double>(y.cols());
  MixtureScales scales;
  for (int64_t r = 0; r < y.rows(); ++r) {
    const double mean = MeanOfRow(y, r);
    double deviation = 0;
    double square = 0;
    for (int64_t j = 0; j < y.cols(); ++j) {
      deviation += std::abs(y(r, j) - mean) / m;
      square += std::pow(y(r, j) - mean, 2) / m;
    }
    scales.c.push_back(deviation);
    scales.sigma.push_back(objective == MixtureObjective::kReleased ? deviation / 4
                                                                    : std::sqrt(square));
  }
  return scales;
}

MixtureTerms MixtureTermsOf(const Matrix& y, MixtureObjective objective,
                            const MixtureScales& scales) {
  const bool released = objective == MixtureObjective::kReleased;
  const double zero_weight = released ? 1.0 / 3 : 0.5;
  const double outer_weight = (1 - zero_weight) / 2;
  const auto n = static_cast<double>(y.rows());
  const auto m = static_cast<double>(y.cols());
  MixtureTerms terms;
  double shares[3] = {};  // of the matrix
  for (int64_t r = 0; r < y.rows(); ++r) {
    const double mean = MeanOfRow(y, r);
    const double c = scales.c[r];
    const double sigma = scales.sigma[r];
    double zero_share = 0;
    for (int64_t j = 0; j < y.cols(); ++j) {
      const double centred = y(r, j) - mean;
      const double logs[3] = {LogPart(outer_weight, centred, -c, sigma),
                              LogPart(zero_weight, centred, 0, sigma),
                              LogPart(outer_weight, centred, c, sigma)};
      const double largest = *std::max_element(logs, logs + 3);  // far out all densities are 0
      double sum = 0;
      for (const double log : logs) sum += std::exp(log - largest);
      terms.likelihood -= (largest + std::log(sum)) / (n * m);
      const auto share = [&](int k) { return std::exp(logs[k] - largest) / sum; };
      for (int k = 0; k < 3; ++k) shares[k] += share(k) / (n * m);
      zero_share += share(1) / m;
    }
    if (!released) terms.balance += 0.1 * std::pow(zero_share - 0.5, 2) / n;
  }
  if (!released) return terms;
  for (const double share : shares) terms.balance += 0.1 * std::pow(share - 1.0 / 3, 2);
  return terms;
}

Matrix NumericGradient(const std::function<double(const Matrix&)>& value, const Matrix& x,
                       double step) {
  Matrix gradient(x.rows(), x.cols());
  Matrix moved = x;
  for (size_t i = 0; i < x.values().size(); ++i) {
    moved.values()[i] = x.values()[i] + step;
    const double above = value(moved);
    moved.values()[i] = x.values()[i] - step;
    gradient.values()[i] = (above - value(moved)) / (2 * step);
    moved.values()[i] = x.values()[i];
  }
  return gradient;
}

}  // namespace tern
