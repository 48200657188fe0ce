#include "worker/quant/hadamard_rotation.h"

#include <cmath>
#include <memory>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

using testing::ElementsAre;

Matrix FactorOf(const std::vector<uint16_t>& bits, int64_t k) {
  Matrix factor(k, k);
  for (int64_t i = 0; i < k * k; ++i) factor.values()[i] = HalfToFloat(bits[i]);
  return factor;
}

TEST(HadamardRotationTest, FactorsOfEverySizeAreOrthogonalToTheRoundingOfFp16) {
  const std::unique_ptr<Backend> backend = TestBackend();
  for (const int64_t m : {192, 352, 512, 1408, 4096, 11008}) {
    for (const auto factorization :
         {RotationFactorization::kReleased, RotationFactorization::kBalanced}) {
      const RotationShape shape = RotationShapeOf(512, m, factorization);
      const StoredRotation rotation = HadamardRotation(shape, 7);
      EXPECT_EQ(rotation.shape.n1 * rotation.shape.n2, m);
      const RotationFactors factors = UploadRotation(*backend, rotation).value();
      // A value is off by 2^-11 of itself at most, so a product of unit rows by 2^-10.
      EXPECT_LT(OrthogonalityError(rotation), 0x1p-10 * 1.01) << m;
    }
  }
}

TEST(HadamardRotationTest, APowerOfTwoSpreadsEveryInputEvenly) {
  const StoredRotation rotation = HadamardRotation({4, 16}, 1);
  const Matrix r1 = FactorOf(rotation.r1, 4);
  for (const double value : r1.values()) EXPECT_EQ(std::abs(value), 0.5);
  const Matrix r2 = FactorOf(rotation.r2, 16);
  for (const double value : r2.values()) EXPECT_EQ(std::abs(value), 0.25);
}

TEST(HadamardRotationTest, OddSizesSpreadToo) {
  const Matrix factor = FactorOf(HadamardRotation({1, 43}, 2).r2, 43);
  for (const double value : factor.values()) EXPECT_LT(std::abs(value), 0.75);
}

TEST(HadamardRotationTest, DependsOnTheSeed) {
  const StoredRotation one = HadamardRotation({8, 24}, 1);
  EXPECT_EQ(HadamardRotation({8, 24}, 1).r1, one.r1);
  EXPECT_EQ(HadamardRotation({8, 24}, 1).r2, one.r2);
  EXPECT_NE(HadamardRotation({8, 24}, 2).r1, one.r1);
  EXPECT_NE(HadamardRotation({8, 24}, 2).r2, one.r2);
}

TEST(HadamardRotationTest, IsTheSameOnEveryPlatform) {
  // Stored results depend on it; only operations that IEEE 754 rounds in one way are used.
  EXPECT_THAT(HadamardRotation({1, 3}, 1).r2,
              ElementsAre(14173, 46312, 15018, 47886, 46153, 13879, 44715, 15183, 13900));
}

}  // namespace
}  // namespace tern
