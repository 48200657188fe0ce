#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

// float32 arithmetic on matrices of condition about 10⁴: a few times 10⁴ · 6e-8.
constexpr double kTolerance = 1e-3;

class InverseTest : public testing::Test {
 protected:
  // Nothing where it is not positive definite.
  std::optional<Matrix> InvertDamped(const Matrix& h, double damping) {
    const Tensor inverse = NewTensor(*backend_, h.rows(), h.rows());
    const bool positive_definite =
        ops_.InvertDamped(Upload(*backend_, h), damping, inverse).value();
    if (!positive_definite) return std::nullopt;
    return Download(*backend_, inverse);
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  TernaryOps& ops_ = backend_->ternary();
};

TEST_F(InverseTest, IsTheInverseOfTheDampedMatrixAtEverySizeOfTile) {
  for (const int64_t m : {1, 2, 23, 24, 96, 97, 128, 129, 200, 256, 353, 600}) {
    const Matrix h = RandomHessian(m, 1);
    const Matrix damped = h + 0.05 * Identity(m);
    EXPECT_LT(RelativeError(InvertDamped(h, 0.05).value(), Inverse(damped)), kTolerance) << m;
  }
}

TEST_F(InverseTest, IsSymmetricToTheBit) {
  const Matrix inverse = InvertDamped(RandomHessian(150, 2), 0.05).value();
  EXPECT_EQ(inverse, Transposed(inverse));
}

TEST_F(InverseTest, ADeadInputCountsAsOneAndTouchesNoOther) {
  Matrix h = RandomHessian(40, 3);
  for (int64_t j = 0; j < 40; ++j) h(7, j) = h(j, 7) = 0;
  const Matrix inverse = InvertDamped(h, 0.25).value();
  EXPECT_NEAR(inverse(7, 7), 1 / 1.25, 1e-6);
  for (int64_t j = 0; j < 40; ++j) {
    if (j == 7) continue;
    EXPECT_EQ(inverse(7, j), 0) << j;
  }
}

TEST_F(InverseTest, SaysSoWhenNotPositiveDefinite) {
  Matrix h = Identity(120);
  h(3, 100) = h(100, 3) = 2;
  EXPECT_FALSE(InvertDamped(h, 0.01).has_value());
  EXPECT_TRUE(InvertDamped(h, 1.5).has_value());
}

TEST_F(InverseTest, SaysSoWhenSingularToFloat32) {
  // Rank 1: what is left of a pivot is rounding, of either sign.
  const Matrix x = RandomMatrix(1, 30, 4);
  EXPECT_FALSE(InvertDamped(Transposed(x) * x, 0).has_value());
}

TEST_F(InverseTest, SaysSoWhenNotFinite) {
  Matrix h = Identity(10);
  h(2, 5) = h(5, 2) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(InvertDamped(h, 0.01).has_value());
  h(2, 5) = h(5, 2) = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(InvertDamped(h, 0.01).has_value());
}

struct DowndateCase {
  int64_t m, g;
};

class DowndateTest : public InverseTest, public testing::WithParamInterface<DowndateCase> {};

// Any group, taken in any order, against the definitions in float64.
TEST_P(DowndateTest, LeavesFactorsOfTheGroupAndTheInverseOfTheRest) {
  const auto [m, g] = GetParam();
  const Matrix h = RandomHessian(m, 5) + 0.05 * Identity(m);
  const Matrix inverse = Inverse(h);
  std::vector<int32_t> order = Range(m);
  std::shuffle(order.begin(), order.end(), std::mt19937(6));

  const Tensor u_bb = NewTensor(*backend_, g, g);
  const Tensor u_bb_inverse = NewTensor(*backend_, g, g);
  const Tensor u_br = NewTensor(*backend_, g, m - g);
  const Tensor next = NewTensor(*backend_, m - g, m - g);
  const Tensor failures = ZeroCounts(*backend_, 1);
  ASSERT_TRUE(ops_.DowndateInverse(Upload(*backend_, inverse), UploadColumns(*backend_, order),
                                   u_bb, u_bb_inverse, u_br, next, failures)
                  .ok());
  EXPECT_EQ(DownloadIntegers(*backend_, failures)[0], 0);

  const std::span rest = std::span<const int32_t>(order).subspan(g);
  const Matrix group_rows = Rows(UpperFactor(Submatrix(inverse, order, order)), 0, g);
  EXPECT_LT(RelativeError(Download(*backend_, u_bb), Columns(group_rows, 0, g)), kTolerance);
  EXPECT_LT(RelativeError(Download(*backend_, u_bb_inverse), Inverse(Columns(group_rows, 0, g))),
            kTolerance);
  EXPECT_LT(RelativeError(Download(*backend_, u_br), Columns(group_rows, g, m - g)), kTolerance);
  EXPECT_LT(RelativeError(Download(*backend_, next), Inverse(Submatrix(h, rest, rest))),
            kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Sizes, DowndateTest,
                         testing::Values(DowndateCase{40, 16}, DowndateCase{40, 39},
                                         DowndateCase{200, 128}, DowndateCase{353, 128},
                                         DowndateCase{353, 200}, DowndateCase{300, 33}));

TEST_F(InverseTest, DowndateRefusesAGroupThatIsNotPositiveDefinite) {
  Matrix inverse = Identity(10);
  inverse(2, 2) = -1;
  const Tensor failures = ZeroCounts(*backend_, 1);
  ASSERT_TRUE(ops_.DowndateInverse(Upload(*backend_, inverse), UploadColumns(*backend_, Range(10)),
                                   NewTensor(*backend_, 4, 4), NewTensor(*backend_, 4, 4),
                                   NewTensor(*backend_, 4, 6), NewTensor(*backend_, 6, 6), failures)
                  .ok());
  EXPECT_EQ(DownloadIntegers(*backend_, failures)[0], 1);
}

}  // namespace
}  // namespace tern
