#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/unit/backend_rotation/rotation_oracle.h"

namespace tern {
namespace {

struct Measured {
  MixtureTerms terms;
  Matrix y, d_y;
};

class MixtureLossTest : public testing::TestWithParam<MixtureObjective> {
 protected:
  Measured Measure(const Matrix& w, const Matrix& r1, const Matrix& r2) {
    const Tensor loss = NewTensor(*backend_, 1, 2);
    const Tensor y = NewTensor(*backend_, w.rows(), w.cols());
    const Tensor d_y = NewTensor(*backend_, w.rows(), w.cols());
    EXPECT_TRUE(ops_.RotatedMixtureLoss(Upload(*backend_, w), Upload(*backend_, r1),
                                        Upload(*backend_, r2), GetParam(), loss, y, d_y)
                    .ok());
    const Matrix terms = Download(*backend_, loss);
    return {.terms = {.likelihood = terms(0, 0), .balance = terms(0, 1)},
            .y = Download(*backend_, y),
            .d_y = Download(*backend_, d_y)};
  }

  Measured MeasureUnrotated(const Matrix& w) { return Measure(w, Identity(1), Identity(w.cols())); }

  // Rows of different scales, of which some have values far out, and not centred.
  static Matrix Weight(int64_t rows, int64_t cols, uint32_t seed) {
    Matrix w = RandomMatrix(rows, cols, seed);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        w(r, c) = static_cast<float>((w(r, c) * (c % 11 == 3 ? 6 : 1) + 0.3) *
                                     std::pow(10.0, static_cast<double>(r % 5) - 3));
      }
    }
    return w;
  }

  MixtureTerms Expected(const Matrix& y) {
    return MixtureTermsOf(y, GetParam(), ScalesOf(y, GetParam()));
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  RotationOps& ops_ = backend_->rotation();
};

TEST_P(MixtureLossTest, IsTheDefinitionAtRowsOfEveryLength) {
  for (const int64_t m : {2, 3, 8, 17, 64, 100, 352, 1000}) {
    const Matrix w = Weight(23, m, 1);
    const MixtureTerms measured = MeasureUnrotated(w).terms;
    const MixtureTerms expected = Expected(w);
    // float32 of values near 1, through exponentials of up to about 100.
    EXPECT_NEAR(measured.likelihood, expected.likelihood, 2e-5 * std::abs(expected.likelihood))
        << m;
    EXPECT_NEAR(measured.balance, expected.balance, 1e-6) << m;
  }
}

TEST_P(MixtureLossTest, IsThatOfTheRotatedRows) {
  const Matrix w = Weight(30, 120, 2);
  const Matrix r1 = RandomRotation(12, 3);
  const Matrix r2 = RandomRotation(10, 4);
  const Measured measured = Measure(w, r1, r2);
  const Matrix y = RotatedRows(w, r1, r2);
  EXPECT_LT(RelativeError(measured.y, y), 1e-5);
  EXPECT_NEAR(measured.terms.likelihood, Expected(y).likelihood, 1e-4);
  EXPECT_NEAR(measured.terms.balance, Expected(y).balance, 1e-6);
}

// c and σ are held: no gradient goes through them. The balance term has its share: without it the
// error is 1e-2.
TEST_P(MixtureLossTest, ItsGradientIsThatOfTheDefinition) {
  for (const int64_t m : {3, 9, 37}) {
    const Matrix w = Weight(5, m, 5);
    const MixtureScales scales = ScalesOf(w, GetParam());
    const Measured measured = MeasureUnrotated(w);
    for (int64_t r = 0; r < w.rows(); ++r) {
      const auto loss = [&](const Matrix& row) {
        Matrix moved = w;
        for (int64_t c = 0; c < m; ++c) moved(r, c) = row(0, c);
        return MixtureTermsOf(moved, GetParam(), scales).sum();
      };
      const Matrix expected = NumericGradient(loss, Rows(w, r, 1), 1e-5 * scales.sigma[r]);
      EXPECT_LT(RelativeError(Rows(measured.d_y, r, 1), expected), 2e-5) << m << " row " << r;
    }
  }
}

TEST_P(MixtureLossTest, AGradientThatNobodyAsksForIsNotComputed) {
  const Matrix w = Weight(5, 20, 6);
  const Tensor loss = NewTensor(*backend_, 1, 2);
  const Tensor y = NewTensor(*backend_, 5, 20);
  ASSERT_TRUE(ops_.RotatedMixtureLoss(Upload(*backend_, w), Upload(*backend_, Identity(4)),
                                      Upload(*backend_, Identity(5)), GetParam(), loss, y, Tensor())
                  .ok());
  EXPECT_EQ(Download(*backend_, loss)(0, 0), MeasureUnrotated(w).terms.likelihood);
}

TEST_P(MixtureLossTest, RowsOfEqualValuesHaveNoPart) {
  Matrix w(4, 40, 0.25);
  const Measured flat = MeasureUnrotated(w);
  EXPECT_EQ(flat.terms.likelihood, 0);
  EXPECT_NEAR(flat.terms.balance, 0, 1e-9);
  EXPECT_EQ(flat.d_y, Matrix(4, 40));
  w(2, 7) = 1;
  const Measured measured = MeasureUnrotated(w);
  EXPECT_TRUE(std::isfinite(measured.terms.sum()));
  EXPECT_EQ(Rows(measured.d_y, 1, 1), Matrix(1, 40));
  EXPECT_GT(Norm(Rows(measured.d_y, 2, 1)), 0);
}

TEST_P(MixtureLossTest, AWeightThatIsNotFiniteShows) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Matrix w = Weight(10, 30, 7);
    w(4, 4) = value;
    EXPECT_FALSE(std::isfinite(MeasureUnrotated(w).terms.likelihood));
  }
}

INSTANTIATE_TEST_SUITE_P(Objectives, MixtureLossTest,
                         testing::Values(MixtureObjective::kReleased, MixtureObjective::kPaper),
                         [](const auto& info) {
                           return std::string(info.param == MixtureObjective::kReleased ? "Released"
                                                                                        : "Paper");
                         });

}  // namespace
}  // namespace tern
