#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

// scale · aᵀ·b in double.
std::vector<double> Reference(const std::vector<float>& a, const std::vector<float>& b, int64_t t,
                              int64_t m, double scale) {
  std::vector<double> result(m * m, 0.0);
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < m; ++j) {
        result[i * m + j] += scale * a[row * m + i] * b[row * m + j];
      }
    }
  }
  return result;
}

class MomentsTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
 protected:
  // Float32 sums over t terms in runs of 128.
  static constexpr double kTolerance = 1e-6;

  // Two calls of about half the tokens each.
  std::vector<float> Gram(int threads) {
    const auto backend = TestBackend(threads);
    const Tensor x = UploadFloats(*backend, x_, t_, m_);
    const Tensor h = EmptyFloats(*backend, m_, m_);
    EXPECT_TRUE(backend->Zero(h).ok());
    EXPECT_TRUE(backend->AccumulateGram(x.Rows(0, t_ / 2), h).ok());
    EXPECT_TRUE(backend->AccumulateGram(x.Rows(t_ / 2, t_ - t_ / 2), h).ok());
    EXPECT_TRUE(backend->FinishMoment(h, 1.0 / t_, /*symmetric=*/true).ok());
    return DownloadFloats(*backend, h);
  }

  std::vector<float> Cross(int threads) {
    const auto backend = TestBackend(threads);
    const Tensor x = UploadFloats(*backend, x_, t_, m_);
    const Tensor x_fp = UploadFloats(*backend, x_fp_, t_, m_);
    const Tensor g = EmptyFloats(*backend, m_, m_);
    EXPECT_TRUE(backend->Zero(g).ok());
    EXPECT_TRUE(backend->AccumulateCross(x_fp.Rows(0, t_ / 2), x.Rows(0, t_ / 2), g).ok());
    EXPECT_TRUE(
        backend->AccumulateCross(x_fp.Rows(t_ / 2, t_ - t_ / 2), x.Rows(t_ / 2, t_ - t_ / 2), g)
            .ok());
    EXPECT_TRUE(backend->FinishMoment(g, 1.0 / t_, /*symmetric=*/false).ok());
    return DownloadFloats(*backend, g);
  }

  const int64_t t_ = GetParam().first;
  const int64_t m_ = GetParam().second;
  const std::vector<float> x_ = RandomValues(t_ * m_, 1);
  const std::vector<float> x_fp_ = RandomValues(t_ * m_, 2);
};

TEST_P(MomentsTest, GramIsTheMeanOuterProductOfTheInputs) {
  EXPECT_LE(NormalizedError(Gram(2), Reference(x_, x_, t_, m_, 1.0 / t_)), kTolerance);
}

TEST_P(MomentsTest, GramIsSymmetricToTheBit) {
  const std::vector<float> h = Gram(2);
  for (int64_t i = 0; i < m_; ++i) {
    for (int64_t j = 0; j < i; ++j) ASSERT_EQ(h[i * m_ + j], h[j * m_ + i]) << i << ", " << j;
  }
}

TEST_P(MomentsTest, CrossHasTheFullPrecisionInputsAsRows) {
  EXPECT_LE(NormalizedError(Cross(2), Reference(x_fp_, x_, t_, m_, 1.0 / t_)), kTolerance);
}

TEST_P(MomentsTest, BitsDoNotDependOnTheNumberOfThreads) {
  EXPECT_EQ(Gram(2), Gram(1));
  EXPECT_EQ(Gram(3), Gram(1));
  EXPECT_EQ(Cross(2), Cross(1));
  EXPECT_EQ(Cross(3), Cross(1));
}

INSTANTIATE_TEST_SUITE_P(Shapes, MomentsTest,
                         testing::Values(std::pair{1, 1}, std::pair{3, 17}, std::pair{130, 23},
                                         std::pair{300, 130}, std::pair{17, 209}));

}  // namespace
}  // namespace tern
