#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

class AlignGridTest : public testing::Test {
 protected:
  void Fit(const Matrix& w) {
    trits_ = backend_->Allocate(ElementType::kI8, w.rows(), w.cols()).value();
    alpha_tensor_ = NewTensor(*backend_, 1, w.rows());
    mu_tensor_ = NewTensor(*backend_, 1, w.rows());
    ASSERT_TRUE(backend_->ternary()
                    .FitGrid(Upload(*backend_, w), 100, trits_, alpha_tensor_, mu_tensor_,
                             ZeroCounts(*backend_, 2))
                    .ok());
    fitted_alpha_ = Download(*backend_, alpha_tensor_);
    fitted_mu_ = Download(*backend_, mu_tensor_);
  }

  void Align(const Matrix& w, const Matrix& h, const std::vector<int32_t>& columns) {
    ASSERT_TRUE(backend_->ternary()
                    .AlignGrid(Upload(*backend_, w), trits_, Upload(*backend_, h),
                               UploadColumns(*backend_, columns), alpha_tensor_, mu_tensor_)
                    .ok());
    alpha_ = Download(*backend_, alpha_tensor_);
    mu_ = Download(*backend_, mu_tensor_);
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  Tensor trits_, alpha_tensor_, mu_tensor_;
  Matrix fitted_alpha_, fitted_mu_, alpha_, mu_;
};

TEST_F(AlignGridTest, SolvesTheNormalEquationsOfItsColumns) {
  const Matrix w = RandomMatrix(30, 40, 1);
  const Matrix h = RandomHessian(90, 2);
  std::vector<int32_t> columns;
  for (int32_t c = 0; c < 40; ++c) columns.push_back((c * 7 + 3) % 90);
  Fit(w);
  Align(w, h, columns);
  const Matrix trits = Download(*backend_, trits_);
  const Matrix c = Submatrix(h, columns, columns);
  for (int64_t r = 0; r < w.rows(); ++r) {
    Matrix basis(2, 40, 1);  // t and 1
    for (int64_t j = 0; j < 40; ++j) basis(0, j) = trits(r, j);
    const Matrix solution =
        Inverse(basis * c * Transposed(basis)) * (basis * c * Transposed(Rows(w, r, 1)));
    EXPECT_NEAR(alpha_(0, r), solution(0, 0), 1e-6);  // float32 of values near 1
    EXPECT_NEAR(mu_(0, r), solution(1, 0), 1e-6);
  }
}

TEST_F(AlignGridTest, UnderTheIdentityItIsTheFit) {
  const Matrix w = RandomMatrix(30, 64, 3);
  Fit(w);
  Align(w, Identity(64), Range(64));
  EXPECT_LT(RelativeError(alpha_, fitted_alpha_), 1e-6);  // rounding to float32
  EXPECT_LT(RelativeError(mu_, fitted_mu_), 1e-6);
}

TEST_F(AlignGridTest, KeepsTheGridWhereTIsConstant) {
  Matrix w = RandomMatrix(2, 32, 4);
  for (int64_t j = 0; j < 32; ++j) w(0, j) = 0.3f;
  Fit(w);
  Align(w, RandomHessian(32, 5), Range(32));
  EXPECT_EQ(alpha_(0, 0), fitted_alpha_(0, 0));
  EXPECT_EQ(mu_(0, 0), fitted_mu_(0, 0));
  EXPECT_NE(alpha_(0, 1), fitted_alpha_(0, 1));
}

TEST_F(AlignGridTest, KeepsTheGridWhereNoInputIsAlive) {
  const Matrix w = RandomMatrix(4, 32, 6);
  Fit(w);
  Align(w, Matrix(32, 32), Range(32));
  EXPECT_EQ(alpha_, fitted_alpha_);
  EXPECT_EQ(mu_, fitted_mu_);
}

TEST_F(AlignGridTest, ADeadInputHasNoSay) {
  Matrix w = RandomMatrix(4, 32, 7);
  Matrix h = RandomHessian(32, 8);
  for (int64_t j = 0; j < 32; ++j) h(5, j) = h(j, 5) = 0;
  Fit(w);
  Align(w, h, Range(32));
  const Matrix alpha = alpha_;
  for (int64_t r = 0; r < 4; ++r) w(r, 5) += 100;  // the same trits
  Align(w, h, Range(32));
  EXPECT_EQ(alpha_, alpha);
}

}  // namespace
}  // namespace tern
