#include "worker/quant/hadamard_rotation.h"

#include <bit>
#include <cmath>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "checkpoint/text/split_mix.h"

namespace tern {
namespace {

// Only +, -, ·, / and square roots, which IEEE 754 rounds in one way, and never fused (this file's
// compile options): the same bits on every platform.

// In [-1, 1).
double Uniform(SplitMix64& random) {
  return static_cast<double>(random.Next() >> 11) * 0x1p-52 - 1.0;
}

double Dot(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// q[size,size]: random rows made orthonormal one after the other. A second pass makes good what the
// first one's rounding leaves (Gram and Schmidt, "twice is enough").
std::vector<double> RandomOrthogonal(int64_t size, SplitMix64& random) {
  std::vector<double> q(size * size);
  for (int64_t r = 0; r < size; ++r) {
    double* row = q.data() + r * size;
    for (int64_t i = 0; i < size; ++i) row[i] = Uniform(random);
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t before = 0; before < r; ++before) {
        const double* other = q.data() + before * size;
        const double share = Dot(row, other, size);
        for (int64_t i = 0; i < size; ++i) row[i] -= share * other[i];
      }
      const double norm = std::sqrt(Dot(row, row, size));
      for (int64_t i = 0; i < size; ++i) row[i] /= norm;
    }
  }
  return q;
}

// [size,size], its columns' signs random.
std::vector<double> RandomFactor(int64_t size, SplitMix64& random) {
  const int64_t power = size & -size;  // of two
  const int64_t odd = size / power;
  const std::vector<double> inner =
      odd == 1 ? std::vector<double>{1.0} : RandomOrthogonal(odd, random);
  const double scale = 1 / std::sqrt(static_cast<double>(power));
  std::vector<double> signs(size);
  for (double& sign : signs) sign = random.Next() >> 63 == 0 ? scale : -scale;
  std::vector<double> factor(size * size);
  for (int64_t r = 0; r < size; ++r) {
    for (int64_t c = 0; c < size; ++c) {
      const bool negative = std::popcount(static_cast<uint64_t>((r / odd) & (c / odd))) % 2 != 0;
      const double value = inner[r % odd * odd + c % odd] * signs[c];
      factor[r * size + c] = negative ? -value : value;
    }
  }
  return factor;
}

// As fp16, transposed where it is to be multiplied from the right.
std::vector<uint16_t> Stored(const std::vector<double>& factor, int64_t size, bool transposed) {
  std::vector<uint16_t> bits(factor.size());
  for (int64_t r = 0; r < size; ++r) {
    for (int64_t c = 0; c < size; ++c) {
      bits[r * size + c] =
          FloatToHalf(static_cast<float>(transposed ? factor[c * size + r] : factor[r * size + c]));
    }
  }
  return bits;
}

}  // namespace

StoredRotation HadamardRotation(const RotationShape& shape, uint64_t seed) {
  SplitMix64 random(seed);
  StoredRotation rotation{.shape = shape, .r1 = {}, .r2 = {}};
  rotation.r1 = Stored(RandomFactor(shape.n1, random), shape.n1, /*transposed=*/false);
  rotation.r2 = Stored(RandomFactor(shape.n2, random), shape.n2, /*transposed=*/true);
  return rotation;
}

}  // namespace tern
