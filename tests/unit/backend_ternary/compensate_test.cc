#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

constexpr int64_t kRows = 37;
constexpr int64_t kColumns = 150;
constexpr int64_t kGroup = 30;
constexpr int64_t kRest = kColumns - kGroup;
// float32 arithmetic on matrices of condition about 10⁴.
constexpr double kTolerance = 1e-3;

std::vector<int32_t> SomeOrder() {
  std::vector<int32_t> order = Range(kColumns);
  std::swap(order[3], order[140]);
  std::swap(order[0], order[77]);
  return order;
}

// One group's step in float64 beside the operations' results. What is called ordered has its
// columns in the order of quantization.
class CompensateTest : public testing::Test {
 protected:
  CompensateTest() {
    const Tensor failures = ZeroCounts(*backend_, 1);
    EXPECT_TRUE(ops_.DowndateInverse(Upload(*backend_, inverse_), columns_, u_bb_, u_bb_inverse_,
                                     u_br_, next_inverse_, failures)
                    .ok());
    EXPECT_EQ(DownloadIntegers(*backend_, failures)[0], 0);
  }

  Matrix Compensate(Compensation compensation, const Tensor& p) {
    const Tensor next = NewTensor(*backend_, kRows, kRest);
    EXPECT_TRUE(ops_.CompensateColumns(Upload(*backend_, w_), columns_, Upload(*backend_, error_),
                                       u_bb_inverse_, u_br_, p, compensation, next)
                    .ok());
    return Download(*backend_, next);
  }

  Matrix Asymmetry(const Matrix& hessian) {
    const Tensor p = NewTensor(*backend_, kGroup, kRest);
    EXPECT_TRUE(ops_.AsymmetryTerm(Upload(*backend_, cross_), Upload(*backend_, hessian), columns_,
                                   u_bb_, u_br_, next_inverse_, 0.25, p)
                    .ok());
    return Download(*backend_, p);
  }

  // tr(E·H·Eᵀ) under the damped H when the rest's columns become `next`.
  double Loss(const Matrix& next) const {
    const Matrix rest_error = Columns(ordered_w_, kGroup, kRest) - next;
    Matrix e(kRows, kColumns);
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kColumns; ++c) {
        e(r, c) = c < kGroup ? error_(r, c) : rest_error(r, c - kGroup);
      }
    }
    return Trace(e * Submatrix(damped_, order_, order_) * Transposed(e));
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  TernaryOps& ops_ = backend_->ternary();
  const std::vector<int32_t> order_ = SomeOrder();
  const Tensor columns_ = UploadColumns(*backend_, order_);
  const Matrix hessian_ = RandomHessian(kColumns, 1);
  const Matrix cross_ = RandomCross(hessian_, 2);
  const Matrix w_ = RandomMatrix(kRows, kColumns, 3);
  const Matrix error_ = 0.25 * RandomMatrix(kRows, kGroup, 4);
  const Matrix damped_ = hessian_ + 0.05 * Identity(kColumns);
  const Matrix inverse_ = Inverse(damped_);
  const Matrix upper_ = UpperFactor(Submatrix(inverse_, order_, order_));
  const Matrix ordered_w_ = Columns(w_, order_);
  const Matrix factor_bb_ = Columns(Rows(upper_, 0, kGroup), 0, kGroup);
  const Matrix factor_br_ = Columns(Rows(upper_, 0, kGroup), kGroup, kRest);
  const Tensor u_bb_ = NewTensor(*backend_, kGroup, kGroup);
  const Tensor u_bb_inverse_ = NewTensor(*backend_, kGroup, kGroup);
  const Tensor u_br_ = NewTensor(*backend_, kGroup, kRest);
  const Tensor next_inverse_ = NewTensor(*backend_, kRest, kRest);
};

TEST_F(CompensateTest, ReleasedDividesByTheDiagonalOfTheFactor) {
  Matrix scaled = error_;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < kGroup; ++c) scaled(r, c) /= upper_(c, c);
  }
  const Matrix expected = Columns(ordered_w_, kGroup, kRest) - scaled * factor_br_;
  EXPECT_LT(RelativeError(Compensate(Compensation::kReleased, Tensor()), expected), kTolerance);
}

TEST_F(CompensateTest, ExactSolvesWithTheFactor) {
  const Matrix expected =
      Columns(ordered_w_, kGroup, kRest) - error_ * Inverse(factor_bb_) * factor_br_;
  EXPECT_LT(RelativeError(Compensate(Compensation::kExact, Tensor()), expected), kTolerance);
}

// The loss is quadratic in W_R: around its minimum no direction gains.
TEST_F(CompensateTest, ExactIsOptimalForTheGroupsError) {
  const Matrix exact = Compensate(Compensation::kExact, Tensor());
  const double least = Loss(exact);
  EXPECT_LT(least, Loss(Compensate(Compensation::kReleased, Tensor())));
  EXPECT_LT(least, Loss(Columns(ordered_w_, kGroup, kRest)));
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Matrix direction = 1e-2 * RandomMatrix(kRows, kRest, 100 + seed);
    EXPECT_GT(Loss(exact + direction), least);
    EXPECT_GT(Loss(exact - direction), least);
  }
}

TEST_F(CompensateTest, AsymmetryIsTheGroupsRowsOfTheWholeTerm) {
  Matrix inner = Submatrix(cross_ - hessian_, order_, order_) * Transposed(upper_);
  for (int64_t i = 0; i < kColumns; ++i) {
    for (int64_t j = 0; j <= i; ++j) inner(i, j) = 0;
  }
  const Matrix p = 0.25 * (inner * upper_);
  EXPECT_LT(RelativeError(Asymmetry(hessian_), Columns(Rows(p, 0, kGroup), kGroup, kRest)),
            kTolerance);
}

// D = G - (H + δ·I) differs from G - H on the diagonal alone, which triu(D·Uᵀ, 1) leaves out.
TEST_F(CompensateTest, AsymmetryDoesNotSeeTheDamping) {
  EXPECT_LT(RelativeError(Asymmetry(damped_), Asymmetry(hessian_)), kTolerance);
}

TEST_F(CompensateTest, AsymmetryActsOnTheGroupAsCompensatedSoFar) {
  const Matrix p = Asymmetry(hessian_);
  const Matrix expected =
      Compensate(Compensation::kExact, Tensor()) + Columns(ordered_w_, 0, kGroup) * p;
  EXPECT_LT(RelativeError(Compensate(Compensation::kExact, Upload(*backend_, p)), expected),
            kTolerance);
}

}  // namespace
}  // namespace tern
