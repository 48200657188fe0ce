#include <algorithm>
#include <cassert>
#include <cstdint>
#include <limits>
#include <vector>

#include "worker/backend/cpu/cpu_rotation_ops.h"
#include "worker/backend/cpu/dense_products.h"
#include "worker/backend/cpu/upper_factor.h"

namespace tern {
namespace {

constexpr int kInverseRounds = 3;  // errors go 0.1, 1e-2, 1e-4, 1e-8

using Square = std::vector<float>;  // k × k

// a·bᵀ.
Square ByTransposed(ThreadPool& pool, const Square& a, const Square& b, int64_t k) {
  Square product(k * k);
  MultiplyByTransposed(pool, a.data(), b.data(), nullptr, false, k, k, k, product.data());
  return product;
}

// aᵀ·b.
Square TransposedBy(ThreadPool& pool, const Square& a, const Square& b, int64_t k) {
  Square product(k * k);
  AddTransposedProduct(pool, a.data(), b.data(), k, k, k, product.data());
  return product;
}

// I - rᵀx.
Square Residual(ThreadPool& pool, const Square& r, const Square& x, int64_t k) {
  Square residual = TransposedBy(pool, r, x, k);
  for (float& value : residual) value = -value;
  for (int64_t i = 0; i < k; ++i) residual[i * k + i] += 1.0f;
  return residual;
}

Square ValuesOf(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  return Square(values.begin(), values.end());
}

// to = a - aᵀ.
void SubtractTransposed(const float* a, int64_t k, float* to) {
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < k; ++c) to[r * k + c] = a[r * k + c] - a[c * k + r];
  }
}

}  // namespace

// With the symmetric positive definite M = I - A² = I + A·Aᵀ, whose inverse commutes with A,
//   (I + A)⁻¹·(I - A) = (I - A)²·M⁻¹ = 2·M⁻¹ - 2·A·M⁻¹ - I.
// One Newton step, r + r·(I - rᵀr)/2, makes good what rounding lost of orthogonality.
absl::Status CpuRotationOps::Cayley(const Tensor& s, const Tensor& rotation) {
  const int64_t k = s.rows();
  assert(s.cols() == k && rotation.rows() == k && rotation.cols() == k);
  auto* out = rotation.data<float>();
  Square a(k * k);
  SubtractTransposed(s.data<float>(), k, a.data());
  Square factor = ByTransposed(pool_, a, a, k);
  for (int64_t i = 0; i < k; ++i) factor[i * k + i] += 1.0f;
  if (!FactorUpper(pool_, factor.data(), k)) {
    std::fill_n(out, k * k, std::numeric_limits<float>::quiet_NaN());
    return absl::OkStatus();
  }
  Square inverse_factor(k * k);
  InvertUpper(pool_, factor.data(), k, inverse_factor.data());
  const Square inverse = ByTransposed(pool_, inverse_factor, inverse_factor, k);
  const Square product = ByTransposed(pool_, a, inverse, k);
  Square r(k * k);
  for (int64_t i = 0; i < k * k; ++i) r[i] = 2 * (inverse[i] - product[i]);
  for (int64_t i = 0; i < k; ++i) r[i * k + i] -= 1.0f;

  const Square correction = ByTransposed(pool_, r, Residual(pool_, r, r, k), k);
  for (int64_t i = 0; i < k * k; ++i) out[i] = r[i] + 0.5f * correction[i];
  return absl::OkStatus();
}

absl::Status CpuRotationOps::CayleyGradient(const Tensor& rotation, const Tensor& d_rotation,
                                            const Tensor& d_s) {
  const int64_t k = rotation.rows();
  assert(d_rotation.elements() == k * k && d_s.elements() == k * k);
  Square twice_inverse = ValuesOf(rotation);
  for (int64_t i = 0; i < k; ++i) twice_inverse[i * k + i] += 1.0f;
  const Square left = TransposedBy(pool_, twice_inverse, ValuesOf(d_rotation), k);
  Square d_a = ByTransposed(pool_, left, twice_inverse, k);
  for (float& value : d_a) value *= -0.5f;
  SubtractTransposed(d_a.data(), k, d_s.data<float>());
  return absl::OkStatus();
}

// Newton: x + x·(I - rᵀx), from x = r. The residual is symmetric, as is every polynomial in rᵀr.
absl::Status CpuRotationOps::InverseTranspose(const Tensor& r, const Tensor& inverse) {
  const int64_t k = r.rows();
  assert(r.cols() == k && inverse.elements() == k * k);
  const Square given = ValuesOf(r);
  Square x = given;
  for (int round = 0; round < kInverseRounds; ++round) {
    const Square change = ByTransposed(pool_, x, Residual(pool_, given, x, k), k);
    for (int64_t i = 0; i < k * k; ++i) x[i] += change[i];
  }
  std::copy(x.begin(), x.end(), inverse.data<float>());
  return absl::OkStatus();
}

}  // namespace tern
