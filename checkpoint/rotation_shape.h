#ifndef TERN_CHECKPOINT_ROTATION_SHAPE_H_
#define TERN_CHECKPOINT_ROTATION_SHAPE_H_

#include <cstdint>

namespace tern {

// How a layer's inputs are cut into the two factors of a Kronecker rotation.
enum class RotationFactorization {
  kReleased,  // n2² about rows·cols/64: fp16 factors take 0.25 bits per weight at every size
  kBalanced   // n2² about cols: the smallest factors, about 0.01 bits per weight
};

// A row of n1·n2 values is an n1×n2 matrix X, row-major, and becomes r1·X·r2, r1[n1,n1], r2[n2,n2].
struct RotationShape {
  int64_t n1, n2;

  bool operator==(const RotationShape&) const = default;
};

// Of a weight [rows, cols], both positive: n2 is the largest divisor of cols not above
// sqrt(rows·cols/64) or sqrt(cols), at least 1; n1 = cols/n2.
RotationShape RotationShapeOf(int64_t rows, int64_t cols, RotationFactorization factorization);

}  // namespace tern

#endif  // TERN_CHECKPOINT_ROTATION_SHAPE_H_
