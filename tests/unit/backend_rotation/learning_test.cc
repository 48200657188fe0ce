#include <cmath>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/unit/backend_rotation/rotation_oracle.h"

namespace tern {
namespace {

constexpr auto kReleased = MixtureObjective::kReleased;
constexpr auto kPaper = MixtureObjective::kPaper;

class RotationLearningTest : public testing::Test {
 protected:
  Tensor New(int64_t rows, int64_t cols) { return NewTensor(*backend_, rows, cols); }
  Tensor Zeros(int64_t k) { return Upload(*backend_, Matrix(k, k)); }

  std::unique_ptr<Backend> backend_ = TestBackend();
  RotationOps& ops_ = backend_->rotation();
};

struct GradientCase {
  int64_t rows, n1, n2;
};

class FactorGradientsTest : public RotationLearningTest,
                            public testing::WithParamInterface<GradientCase> {};

// Any gradient of y, against the definition in float64.
TEST_P(FactorGradientsTest, AreSumsOverAllRows) {
  const auto [rows, n1, n2] = GetParam();
  const Matrix w = RandomMatrix(rows, n1 * n2, 1);
  const Matrix d_y = RandomMatrix(rows, n1 * n2, 2);
  const Matrix r1 = RandomRotation(n1, 3);
  const Matrix r2 = RandomRotation(n2, 4);
  Matrix expected_1(n1, n1);
  Matrix expected_2(n2, n2);
  for (int64_t r = 0; r < rows; ++r) {
    const Matrix x(n1, n2, Rows(w, r, 1).values());
    const Matrix g(n1, n2, Rows(d_y, r, 1).values());
    expected_1 = expected_1 + g * Transposed(x * r2);
    expected_2 = expected_2 + Transposed(r1 * x) * g;
  }
  const Tensor d_r1 = New(n1, n1);
  const Tensor d_r2 = New(n2, n2);
  ASSERT_TRUE(ops_.FactorGradients(Upload(*backend_, RotatedRows(w, r1, r2)),
                                   Upload(*backend_, d_y), Upload(*backend_, r1),
                                   Upload(*backend_, r2), d_r1, d_r2)
                  .ok());
  EXPECT_LT(RelativeError(Download(*backend_, d_r1), expected_1), 1e-5);
  EXPECT_LT(RelativeError(Download(*backend_, d_r2), expected_2), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FactorGradientsTest,
                         testing::Values(GradientCase{1, 1, 1}, GradientCase{40, 1, 6},
                                         GradientCase{40, 6, 1}, GradientCase{48, 16, 8},
                                         GradientCase{1500, 3, 10}, GradientCase{61, 40, 11},
                                         GradientCase{2100, 2, 33}, GradientCase{3, 5, 150}));

// The whole step, from s to the loss and back: central differences of the definition in float64.
TEST_F(RotationLearningTest, GradientsOfAWholeStepAreThoseOfTheDefinition) {
  for (const MixtureObjective objective : {kReleased, kPaper}) {
    const Matrix w = RandomMatrix(11, 24, 5);
    const Matrix s1 = 0.3 * RandomMatrix(4, 4, 6);
    const Matrix s2 = 0.3 * RandomMatrix(6, 6, 7);
    const MixtureScales scales = ScalesOf(RotatedRows(w, CayleyOf(s1), CayleyOf(s2)), objective);
    const auto loss_at = [&](const Matrix& first, const Matrix& second) {
      return MixtureTermsOf(RotatedRows(w, CayleyOf(first), CayleyOf(second)), objective, scales)
          .sum();
    };

    const Tensor r1 = New(4, 4), r2 = New(6, 6), d_r1 = New(4, 4), d_r2 = New(6, 6);
    const Tensor y = New(11, 24), d_y = New(11, 24), loss = New(1, 2);
    const Tensor d_s1 = New(4, 4), d_s2 = New(6, 6);
    ASSERT_TRUE(ops_.Cayley(Upload(*backend_, s1), r1).ok());
    ASSERT_TRUE(ops_.Cayley(Upload(*backend_, s2), r2).ok());
    ASSERT_TRUE(
        ops_.RotatedMixtureLoss(Upload(*backend_, w), r1, r2, objective, loss, y, d_y).ok());
    ASSERT_TRUE(ops_.FactorGradients(y, d_y, r1, r2, d_r1, d_r2).ok());
    ASSERT_TRUE(ops_.CayleyGradient(r1, d_r1, d_s1).ok());
    ASSERT_TRUE(ops_.CayleyGradient(r2, d_r2, d_s2).ok());

    const Matrix expected_1 =
        NumericGradient([&](const Matrix& s) { return loss_at(s, s2); }, s1, 1e-6);
    const Matrix expected_2 =
        NumericGradient([&](const Matrix& s) { return loss_at(s1, s); }, s2, 1e-6);
    EXPECT_LT(RelativeError(Download(*backend_, d_s1), expected_1), 1e-4);
    EXPECT_LT(RelativeError(Download(*backend_, d_s2), expected_2), 1e-4);
  }
}

TEST_F(RotationLearningTest, FactorsAreOrthogonalAfterAHundredSteps) {
  const Tensor w = Upload(*backend_, RandomMatrix(64, 320, 8));
  const Tensor s1 = Zeros(8), mean1 = Zeros(8), square1 = Zeros(8);
  const Tensor s2 = Zeros(40), mean2 = Zeros(40), square2 = Zeros(40);
  const Tensor r1 = New(8, 8), r2 = New(40, 40), d_r1 = New(8, 8), d_r2 = New(40, 40);
  const Tensor y = New(64, 320), d_y = New(64, 320), loss = New(1, 2);
  double first_loss = 0;
  for (int64_t step = 1; step <= 101; ++step) {
    ASSERT_TRUE(ops_.Cayley(s1, r1).ok());
    ASSERT_TRUE(ops_.Cayley(s2, r2).ok());
    ASSERT_TRUE(ops_.RotatedMixtureLoss(w, r1, r2, kReleased, loss, y, d_y).ok());
    if (step == 1) first_loss = Download(*backend_, loss)(0, 0);
    if (step == 101) break;
    ASSERT_TRUE(ops_.FactorGradients(y, d_y, r1, r2, d_r1, d_r2).ok());
    ASSERT_TRUE(ops_.CayleyGradient(r1, d_r1, d_r1).ok());
    ASSERT_TRUE(ops_.CayleyGradient(r2, d_r2, d_r2).ok());
    ASSERT_TRUE(ops_.AdamStep(d_r1, step, 1e-2, mean1, square1, s1).ok());
    ASSERT_TRUE(ops_.AdamStep(d_r2, step, 1e-2, mean2, square2, s2).ok());
  }
  EXPECT_LT(OrthogonalityErrorOf(Download(*backend_, r1)), 1e-5);
  EXPECT_LT(OrthogonalityErrorOf(Download(*backend_, r2)), 1e-5);
  EXPECT_GT(LargestDifference(Download(*backend_, r2), Identity(40)), 0.1);
  EXPECT_LT(Download(*backend_, loss)(0, 0), first_loss);
}

TEST_F(RotationLearningTest, AdamIsTheDefinition) {
  const Tensor s = Zeros(3), mean = Zeros(3), square = Zeros(3);
  Matrix expected(3, 3), m(3, 3), v(3, 3);
  for (int64_t step = 1; step <= 4; ++step) {
    Matrix g = RandomMatrix(3, 3, static_cast<uint32_t>(step));
    g(0, 0) = 0;
    g(1, 1) = 1e-6;  // ε is 1e-8
    ASSERT_TRUE(ops_.AdamStep(Upload(*backend_, g), step, 0.05, mean, square, s).ok());
    for (int64_t i = 0; i < 9; ++i) {
      const double value = g.values()[i];
      m.values()[i] = 0.9 * m.values()[i] + 0.1 * value;
      v.values()[i] = 0.999 * v.values()[i] + 0.001 * value * value;
      const double m_hat = m.values()[i] / (1 - std::pow(0.9, step));
      const double v_hat = v.values()[i] / (1 - std::pow(0.999, step));
      expected.values()[i] -= 0.05 * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
  EXPECT_LT(LargestDifference(Download(*backend_, s), expected), 1e-5);
}

TEST_F(RotationLearningTest, DescentGoesAgainstTheGradient) {
  const Matrix start = RandomMatrix(5, 5, 9);
  const Matrix gradient = RandomMatrix(5, 5, 10);
  const Tensor s = Upload(*backend_, start);
  ASSERT_TRUE(ops_.DescentStep(Upload(*backend_, gradient), 0.25, s).ok());
  EXPECT_LT(LargestDifference(Download(*backend_, s), start - 0.25 * gradient), 1e-6);
}

}  // namespace
}  // namespace tern
