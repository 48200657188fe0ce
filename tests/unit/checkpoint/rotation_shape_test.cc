#include "checkpoint/rotation_shape.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

constexpr auto kReleased = RotationFactorization::kReleased;
constexpr auto kBalanced = RotationFactorization::kBalanced;

TEST(RotationShapeTest, ReleasedFactorsTakeAQuarterBitPerWeight) {
  EXPECT_EQ(RotationShapeOf(4096, 4096, kReleased), (RotationShape{8, 512}));
  EXPECT_EQ(RotationShapeOf(11008, 4096, kReleased), (RotationShape{8, 512}));
  EXPECT_EQ(RotationShapeOf(4096, 11008, kReleased), (RotationShape{16, 688}));
  EXPECT_EQ(RotationShapeOf(512, 1408, kReleased), (RotationShape{16, 88}));
  EXPECT_EQ(RotationShapeOf(1408, 512, kReleased), (RotationShape{8, 64}));
}

TEST(RotationShapeTest, BalancedFactorsAreNearestToASquare) {
  EXPECT_EQ(RotationShapeOf(4096, 4096, kBalanced), (RotationShape{64, 64}));
  EXPECT_EQ(RotationShapeOf(4096, 11008, kBalanced), (RotationShape{128, 86}));
  EXPECT_EQ(RotationShapeOf(1, 192, kBalanced), (RotationShape{16, 12}));
}

TEST(RotationShapeTest, ARootThatIsADivisorCounts) {
  EXPECT_EQ(RotationShapeOf(64, 64, kReleased), (RotationShape{8, 8}));
  EXPECT_EQ(RotationShapeOf(64, 64, kBalanced), (RotationShape{8, 8}));
  EXPECT_EQ(RotationShapeOf(63, 64, kReleased), (RotationShape{16, 4}));
}

TEST(RotationShapeTest, AtLeastOneColumnIsLeft) {
  EXPECT_EQ(RotationShapeOf(1, 7, kReleased), (RotationShape{7, 1}));
  EXPECT_EQ(RotationShapeOf(5, 1, kBalanced), (RotationShape{1, 1}));
  EXPECT_EQ(RotationShapeOf(1000, 7, kReleased), (RotationShape{1, 7}));
}

}  // namespace
}  // namespace tern
