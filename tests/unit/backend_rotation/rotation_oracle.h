#ifndef TERN_TESTS_UNIT_BACKEND_ROTATION_ROTATION_ORACLE_H_
#define TERN_TESTS_UNIT_BACKEND_ROTATION_ROTATION_ORACLE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/unit/backend_ternary/matrix.h"
#include "worker/backend/rotation_ops.h"

namespace tern {

// Rotations and what they are learned from, in plain float64 and as the definitions say.

// r1·X·r2 in every row.
Matrix RotatedRows(const Matrix& x, const Matrix& r1, const Matrix& r2);

// (I + A)⁻¹·(I - A), A = s - sᵀ.
Matrix CayleyOf(const Matrix& s);

// Orthogonal, but for the rounding of its values to float32.
Matrix RandomRotation(int64_t k, uint32_t seed);

// max|rᵀr - I|
double OrthogonalityErrorOf(const Matrix& r);

// c and σ of every row of y.
struct MixtureScales {
  std::vector<double> c, sigma;
};
MixtureScales ScalesOf(const Matrix& y, MixtureObjective objective);

// The two terms of the objective for rows y under given scales.
struct MixtureTerms {
  double likelihood = 0;  // negative log
  double balance = 0;

  double sum() const { return likelihood + balance; }
};
MixtureTerms MixtureTermsOf(const Matrix& y, MixtureObjective objective,
                            const MixtureScales& scales);

// d value/dx by central differences of float64.
Matrix NumericGradient(const std::function<double(const Matrix&)>& value, const Matrix& x,
                       double step);

}  // namespace tern

#endif  // TERN_TESTS_UNIT_BACKEND_ROTATION_ROTATION_ORACLE_H_
