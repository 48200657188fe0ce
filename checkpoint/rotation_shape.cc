#include "checkpoint/rotation_shape.h"

#include <cassert>

namespace tern {
namespace {

// Whether n² <= rows·cols/share, without overflow: rows and cols are int32 sized, n a divisor of
// cols.
bool IsAtMostRoot(int64_t n, int64_t rows, int64_t cols, int64_t share) {
  return n * share <= rows * cols / n;
}

}  // namespace

RotationShape RotationShapeOf(int64_t rows, int64_t cols, RotationFactorization factorization) {
  assert(rows > 0 && cols > 0);
  const bool balanced = factorization == RotationFactorization::kBalanced;
  int64_t largest = 1;
  for (int64_t n = 1; n <= cols; ++n) {
    if (!IsAtMostRoot(n, balanced ? 1 : rows, cols, balanced ? 1 : 64)) break;
    if (cols % n == 0) largest = n;
  }
  return {.n1 = cols / largest, .n2 = largest};
}

}  // namespace tern
