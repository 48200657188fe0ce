#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {
namespace {

struct Fitted {
  Matrix trits;
  Matrix alpha, mu;  // [1, rows]
  int32_t rounds = 0;
  int32_t constant_rows = 0;
};

class FitGridTest : public testing::Test {
 protected:
  Fitted Fit(const Matrix& w, int max_rounds) {
    return Fit(
        w, [&](auto&&... to) { return ops_.FitGrid(to...); }, max_rounds);
  }

  Fitted FitByThreshold(const Matrix& w, int rounds) {
    return Fit(
        w, [&](auto&&... to) { return ops_.FitGridByThreshold(to...); }, rounds);
  }

  template <typename FitOperation>
  Fitted Fit(const Matrix& w, FitOperation fit, int rounds) {
    const Tensor trits = backend_->Allocate(ElementType::kI8, w.rows(), w.cols()).value();
    const Tensor alpha = NewTensor(*backend_, 1, w.rows());
    const Tensor mu = NewTensor(*backend_, 1, w.rows());
    Fitted fitted;
    const Tensor counts = ZeroCounts(*backend_, 2);
    EXPECT_TRUE(fit(Upload(*backend_, w), rounds, trits, alpha, mu, counts).ok());
    fitted.rounds = DownloadIntegers(*backend_, counts)[0];
    fitted.constant_rows = DownloadIntegers(*backend_, counts)[1];
    fitted.trits = Download(*backend_, trits);
    fitted.alpha = Download(*backend_, alpha);
    fitted.mu = Download(*backend_, mu);
    return fitted;
  }

  static double SquaredError(const Matrix& w, const Fitted& fitted) {
    double error = 0;
    for (int64_t r = 0; r < w.rows(); ++r) {
      for (int64_t c = 0; c < w.cols(); ++c) {
        error += std::pow(w(r, c) - fitted.alpha(0, r) * fitted.trits(r, c) - fitted.mu(0, r), 2);
      }
    }
    return error;
  }

  std::unique_ptr<Backend> backend_ = TestBackend();
  TernaryOps& ops_ = backend_->ternary();
};

TEST_F(FitGridTest, InitialGridOfARowByHand) {
  const Matrix w(1, 4,
                 {-3, 0, 1, 4});  // mean 0.5, deviations 3.5, 0.5, 0.5, 3.5, threshold 0.75·2 = 1.5
  const Fitted fitted = Fit(w, 0);
  EXPECT_EQ(fitted.mu(0, 0), 0.5);
  EXPECT_EQ(fitted.trits, Matrix(1, 4, {-1, 0, 0, 1}));
  EXPECT_EQ(fitted.alpha(0, 0), 3.5);
  EXPECT_EQ(fitted.rounds, 0);
}

TEST_F(FitGridTest, ItfRecoversWeightsThatAreTernary) {
  // 0.25·t - 0.0625 in binary fractions: every sum is exact.
  const Matrix t(1, 8, {1, 1, 1, 0, -1, 0, 1, -1});
  const Matrix w = 0.25 * t - Matrix(1, 8, 0.0625);
  const Fitted fitted = Fit(w, 100);
  EXPECT_EQ(fitted.trits, t);
  EXPECT_EQ(fitted.alpha(0, 0), 0.25);
  EXPECT_EQ(fitted.mu(0, 0), -0.0625);
}

TEST_F(FitGridTest, ItfEndsAtAFixedPoint) {
  const Matrix w = RandomMatrix(50, 128, 1);
  const Fitted fitted = Fit(w, 100);
  for (int64_t r = 0; r < w.rows(); ++r) {
    // α and μ are the regression of w on t …
    double sum_w = 0;
    double sum_t = 0;
    double sum_tt = 0;
    double sum_wt = 0;
    for (int64_t c = 0; c < w.cols(); ++c) {
      const double t = fitted.trits(r, c);
      sum_w += w(r, c);
      sum_t += t;
      sum_tt += t * t;
      sum_wt += w(r, c) * t;
    }
    const double g = 128;
    const double alpha = (g * sum_wt - sum_t * sum_w) / (g * sum_tt - sum_t * sum_t);
    EXPECT_NEAR(fitted.alpha(0, r), alpha, 1e-6);  // float32 of values near 1
    EXPECT_NEAR(fitted.mu(0, r), (sum_w - alpha * sum_t) / g, 1e-6);
    // … and t the nearest level to w, but where w is half-way to float32's precision.
    for (int64_t c = 0; c < w.cols(); ++c) {
      const double z = (w(r, c) - fitted.mu(0, r)) / fitted.alpha(0, r);
      if (std::abs(std::abs(z) - 0.5) < 1e-5) continue;
      EXPECT_EQ(fitted.trits(r, c), z > 0.5 ? 1 : z < -0.5 ? -1 : 0);
    }
  }
}

TEST_F(FitGridTest, MoreRoundsNeverFitWorse) {
  const Matrix w = RandomMatrix(50, 128, 2);
  double last = SquaredError(w, Fit(w, 0));
  for (const int rounds : {1, 2, 4, 8, 100}) {
    const double error = SquaredError(w, Fit(w, rounds));
    EXPECT_LE(error, last * (1 + 1e-6));  // the grid's rounding to float32
    last = error;
  }
}

TEST_F(FitGridTest, RowsStopOneByOne) {
  const Matrix w = RandomMatrix(20, 128, 3);
  const Fitted together = Fit(w, 100);
  int64_t rounds = 0;
  for (int64_t r = 0; r < w.rows(); ++r) {
    const Fitted alone = Fit(Rows(w, r, 1), 100);
    EXPECT_EQ(alone.trits, Rows(together.trits, r, 1));
    EXPECT_EQ(alone.alpha(0, 0), together.alpha(0, r));
    EXPECT_LT(alone.rounds, 100);
    rounds += alone.rounds;
  }
  EXPECT_EQ(together.rounds, rounds);
}

TEST_F(FitGridTest, RoundsAreCapped) {
  const Matrix w = RandomMatrix(20, 128, 4);
  for (int64_t r = 0; r < w.rows(); ++r) {
    const Matrix row = Rows(w, r, 1);
    EXPECT_EQ(Fit(row, 2).rounds, std::min(2, Fit(row, 100).rounds));
  }
}

TEST_F(FitGridTest, AConstantRowIsItsMean) {
  const Fitted fitted = Fit(Matrix(1, 100, 0.1f), 100);
  EXPECT_EQ(fitted.mu(0, 0), 0.1f);
  EXPECT_EQ(fitted.alpha(0, 0), 0);
  EXPECT_EQ(fitted.trits, Matrix(1, 100));
  EXPECT_EQ(fitted.constant_rows, 1);
}

TEST_F(FitGridTest, ZeroWeightsStayZero) {
  const Fitted fitted = Fit(Matrix(3, 128), 100);
  EXPECT_EQ(fitted.mu, Matrix(1, 3));
  EXPECT_EQ(fitted.alpha, Matrix(1, 3));
  EXPECT_EQ(fitted.constant_rows, 3);
}

TEST_F(FitGridTest, GroupsOfEveryWidthEndAtTheRegressionOnTheirTrits) {
  for (const int64_t g : {2, 16, 33, 127, 200, 512, 513, 1000, 2048, 4096}) {
    const Matrix w = RandomMatrix(3, g, 6);
    const Fitted fitted = Fit(w, 100);
    for (int64_t r = 0; r < w.rows(); ++r) {
      Matrix basis(2, g, 1);  // t and 1
      for (int64_t c = 0; c < g; ++c) basis(0, c) = fitted.trits(r, c);
      if (Trace(basis * Transposed(basis)) == static_cast<double>(g)) continue;  // t is 0
      const Matrix solution =
          Inverse(basis * Transposed(basis)) * (basis * Transposed(Rows(w, r, 1)));
      EXPECT_NEAR(fitted.alpha(0, r), solution(0, 0), 1e-5) << g;
      EXPECT_NEAR(fitted.mu(0, r), solution(1, 0), 1e-5) << g;
    }
  }
}

TEST_F(FitGridTest, AddsToItsCounts) {
  const Tensor trits = backend_->Allocate(ElementType::kI8, 3, 128).value();
  const Tensor alpha = NewTensor(*backend_, 1, 3);
  const Tensor mu = NewTensor(*backend_, 1, 3);
  const Tensor w = Upload(*backend_, Matrix(3, 128));
  const Tensor counts = ZeroCounts(*backend_, 2);
  for (int32_t call = 1; call <= 2; ++call) {
    ASSERT_TRUE(backend_->ternary().FitGrid(w, 100, trits, alpha, mu, counts).ok());
    EXPECT_EQ(DownloadIntegers(*backend_, counts)[1], 3 * call);
  }
}

TEST_F(FitGridTest, AGroupOfOneColumnIsExact) {
  const Matrix w = RandomMatrix(5, 1, 5);
  const Fitted fitted = Fit(w, 100);
  EXPECT_EQ(fitted.mu, Transposed(w));
  EXPECT_EQ(fitted.constant_rows, 5);
}

TEST_F(FitGridTest, ThresholdRoundsOfARowByHand) {
  // As above: μ 0.5, t -1 0 0 1, α 3.5. The residual's mean is 0, so the grid stays.
  const Matrix w(1, 4, {-3, 0, 1, 4});
  for (const int rounds : {0, 1, 15}) {
    const Fitted fitted = FitByThreshold(w, rounds);
    EXPECT_EQ(fitted.mu(0, 0), 0.5);
    EXPECT_EQ(fitted.trits, Matrix(1, 4, {-1, 0, 0, 1}));
    EXPECT_EQ(fitted.alpha(0, 0), 3.5);
    EXPECT_EQ(fitted.rounds, rounds);
  }
}

TEST_F(FitGridTest, ThresholdRoundsMoveMuByTheMeanOfTheResidual) {
  // μ 1, Δ 4/3, t = 1 for the 9 alone, α 8.
  Matrix w(1, 9);
  w(0, 4) = 9;
  EXPECT_FLOAT_EQ(FitByThreshold(w, 0).alpha(0, 0), 8);
  // μ = 1 - 8/9; Δ = 0.75·(8·1/9 + 80/9)/9, below 80/9; α = 80/9.
  const Fitted once = FitByThreshold(w, 1);
  EXPECT_FLOAT_EQ(once.mu(0, 0), 1.0f / 9);
  EXPECT_FLOAT_EQ(once.alpha(0, 0), 80.0f / 9);
  // The fixed point: w = 9·t.
  const Fitted end = FitByThreshold(w, 40);
  EXPECT_NEAR(end.mu(0, 0), 0, 1e-7);
  EXPECT_FLOAT_EQ(end.alpha(0, 0), 9);
}

TEST_F(FitGridTest, ThresholdGroupsOfEveryWidthFollowTheDefinition) {
  for (const int64_t g : {1, 2, 33, 128, 200, 513, 1000, 4096}) {
    const Matrix w = RandomMatrix(3, g, 7);
    const Fitted fitted = FitByThreshold(w, 4);
    for (int64_t r = 0; r < w.rows(); ++r) {
      double mu = 0;
      double alpha = 0;
      std::vector<int> t(g);
      for (int round = 0; round < 5; ++round) {
        double residual = 0;
        for (int64_t c = 0; c < g; ++c) residual += w(r, c) - mu - alpha * t[c];
        mu += residual / static_cast<double>(g);
        double deviation = 0;
        for (int64_t c = 0; c < g; ++c) deviation += std::abs(w(r, c) - mu);
        const double delta = 0.75 * deviation / static_cast<double>(g);
        double beyond = 0;
        int count = 0;
        for (int64_t c = 0; c < g; ++c) {
          t[c] = w(r, c) - mu > delta ? 1 : w(r, c) - mu < -delta ? -1 : 0;
          beyond += t[c] * (w(r, c) - mu);
          count += std::abs(t[c]);
        }
        alpha = count > 0 ? beyond / count : 0;
      }
      EXPECT_NEAR(fitted.mu(0, r), mu, 1e-6) << g;
      EXPECT_NEAR(fitted.alpha(0, r), alpha, 1e-6) << g;
      for (int64_t c = 0; c < g; ++c) EXPECT_EQ(fitted.trits(r, c), t[c]) << g;
    }
  }
}

}  // namespace
}  // namespace tern
