#include <cmath>
#include <limits>
#include <memory>

#include "gtest/gtest.h"
#include "tests/unit/backend_rotation/rotation_oracle.h"

namespace tern {
namespace {

class CayleyTest : public testing::Test {
 protected:
  Matrix Cayley(const Matrix& s) {
    const Tensor rotation = NewTensor(*backend_, s.rows(), s.rows());
    EXPECT_TRUE(ops_.Cayley(Upload(*backend_, s), rotation).ok());
    return Download(*backend_, rotation);
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  RotationOps& ops_ = backend_->rotation();
};

TEST_F(CayleyTest, OfZeroIsTheIdentity) { EXPECT_EQ(Cayley(Matrix(5, 5)), Identity(5)); }

TEST_F(CayleyTest, IsTheDefinitionAtEverySize) {
  for (const int64_t k : {1, 2, 5, 16, 64, 88, 128, 129, 300}) {
    // ‖A‖ about 6 at every size: the condition of I + A·Aᵀ, about 40, is what float32 loses.
    const Matrix s = (2.0 / std::sqrt(static_cast<double>(k))) * RandomMatrix(k, k, 1);
    EXPECT_LT(LargestDifference(Cayley(s), CayleyOf(s)), 2e-5) << k;
  }
}

TEST_F(CayleyTest, IsOrthogonalHoweverLargeItsArgument) {
  for (const double scale : {1e-3, 0.1, 1.0, 5.0}) {
    for (const int64_t k : {8, 88, 260}) {
      EXPECT_LT(OrthogonalityErrorOf(Cayley(scale * RandomMatrix(k, k, 2))), 1e-5)
          << k << " " << scale;
    }
  }
}

TEST_F(CayleyTest, OfValuesThatAreNotFiniteIsNotANumber) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const int64_t k : {4, 200}) {
      Matrix s = RandomMatrix(k, k, 3);
      s(1, 2) = value;
      EXPECT_TRUE(std::isnan(Cayley(s)(0, 0)));
    }
  }
}

// Central differences in float64 are exact to about 1e-9 here; the operation is float32.
TEST_F(CayleyTest, ItsGradientIsThatOfTheDefinition) {
  for (const int64_t k : {1, 2, 9, 14}) {
    const Matrix s = 0.5 * RandomMatrix(k, k, 4);
    const Matrix d_rotation = RandomMatrix(k, k, 5);
    const auto loss = [&](const Matrix& at) {
      return Trace(Transposed(d_rotation) * CayleyOf(at));
    };
    const Tensor d_s = NewTensor(*backend_, k, k);
    ASSERT_TRUE(
        ops_.CayleyGradient(Upload(*backend_, CayleyOf(s)), Upload(*backend_, d_rotation), d_s)
            .ok());
    const Matrix expected = NumericGradient(loss, s, 1e-5);
    EXPECT_LE(Norm(Download(*backend_, d_s) - expected), 1e-5 * Norm(d_rotation)) << k;
  }
}

}  // namespace
}  // namespace tern
