#ifndef TERN_CHECKPOINT_STORED_ROTATION_H_
#define TERN_CHECKPOINT_STORED_ROTATION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/rotation_shape.h"

namespace tern {

// The rotation of a layer's inputs as it is stored. A row of n1·n2 values is an n1×n2 matrix X and
// becomes r1·X·r2. The fp16 values are what every computation after rounding uses.
struct StoredRotation {
  RotationShape shape = {0, 0};
  std::vector<uint16_t> r1;  // fp16 bits [n1,n1]
  std::vector<uint16_t> r2;  // fp16 bits [n2,n2]

  int64_t stored_bytes() const {
    return static_cast<int64_t>((r1.size() + r2.size()) * sizeof(uint16_t));
  }
};

// max |r·rᵀ - I| of a factor r[n,n] of finite fp16 values.
double OrthogonalityError(std::span<const uint16_t> factor, int64_t n);
// The greater of both factors'.
double OrthogonalityError(const StoredRotation& rotation);

// The most that a factor which was orthogonal before it was rounded may err by. Rounding to fp16
// moves r_ij by at most 2⁻¹¹·|r_ij| (2⁻²⁵ where that is subnormal), so an element of r·rᵀ by
// 2·2⁻¹¹·Σ|r_ik·r_jk| ≤ 2⁻¹⁰ as rows have length 1; what the subnormal values and the squares of
// these errors add is below 2⁻¹⁶ up to n = 65536. As much again is left for the arithmetic that
// made the factor.
inline constexpr double kOrthogonalityTolerance = 0x1p-9;

// Takes rows of a weight in rotated space back to the space of the unrotated input: a row ŷ, as a
// matrix Ŷ[n1,n2], becomes r1ᵀ·Ŷ·r2ᵀ, so that its product with an input x is ŷ's with r1·X·r2. In
// float32; the bits of a row depend on nothing but the row and the factors.
//
// Thread-compatible; Apply is const.
class RotationFold {
 public:
  explicit RotationFold(const StoredRotation& rotation);

  // `rows` holds whole rows of n1·n2 values and is changed in place.
  void Apply(std::span<float> rows) const;

 private:
  int64_t n1_, n2_;
  std::vector<float> left_;   // r1ᵀ
  std::vector<float> right_;  // r2ᵀ
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_STORED_ROTATION_H_
