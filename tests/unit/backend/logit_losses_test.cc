#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

// log softmax of row `row`, in double.
std::vector<double> LogSoftmax(const std::vector<float>& logits, int64_t row, int64_t n) {
  std::vector<double> result(logits.begin() + row * n, logits.begin() + (row + 1) * n);
  const double max = *std::max_element(result.begin(), result.end());
  double sum = 0;
  for (const double value : result) sum += std::exp(value - max);
  for (double& value : result) value -= max + std::log(sum);
  return result;
}

// Vocabulary sizes; 21 rows each.
class LogitLossesTest : public testing::TestWithParam<int64_t> {
 protected:
  // Exponentials are float32 to 1e-7 relative, sums float64.
  static constexpr double kTolerance = 1e-6;

  static constexpr int64_t kRows = 21;
  const int64_t vocab_ = GetParam();
  const std::vector<float> logits_ = RandomValues(kRows * vocab_, 1, 4.0);
  const std::vector<float> reference_ = RandomValues(kRows * vocab_, 2, 4.0);
};

TEST_P(LogitLossesTest, TokenLossIsTheNegativeLogLikelihoodOfTheTarget) {
  std::vector<int32_t> targets;
  std::vector<double> expected;
  for (int64_t row = 0; row < kRows; ++row) {
    targets.push_back(static_cast<int32_t>(row * 7 % vocab_));
    expected.push_back(-LogSoftmax(logits_, row, vocab_)[targets.back()]);
  }
  for (const int threads : {1, 2, 3}) {
    const auto backend = TestBackend(threads);
    std::vector<double> losses(kRows);
    ASSERT_TRUE(backend->transformer()
                    .TokenLosses(UploadFloats(*backend, logits_, kRows, vocab_), targets, losses)
                    .ok());
    for (int64_t row = 0; row < kRows; ++row) EXPECT_NEAR(losses[row], expected[row], kTolerance);
  }
}

TEST_P(LogitLossesTest, KlDivergenceIsFromTheReferenceToTheLogits) {
  for (const int threads : {1, 2, 3}) {
    const auto backend = TestBackend(threads);
    std::vector<double> divergences(kRows);
    ASSERT_TRUE(backend->transformer()
                    .KlDivergences(UploadFloats(*backend, reference_, kRows, vocab_),
                                   UploadFloats(*backend, logits_, kRows, vocab_), divergences)
                    .ok());
    for (int64_t row = 0; row < kRows; ++row) {
      const std::vector<double> log_p = LogSoftmax(reference_, row, vocab_);
      const std::vector<double> log_q = LogSoftmax(logits_, row, vocab_);
      double expected = 0;
      for (int64_t i = 0; i < vocab_; ++i) expected += std::exp(log_p[i]) * (log_p[i] - log_q[i]);
      EXPECT_NEAR(divergences[row], expected, kTolerance);
    }
  }
}

TEST_P(LogitLossesTest, KlDivergenceOfEqualLogitsIsZero) {
  const auto backend = TestBackend(2);
  const Tensor logits = UploadFloats(*backend, logits_, kRows, vocab_);
  std::vector<double> divergences(kRows, 1.0);
  ASSERT_TRUE(backend->transformer().KlDivergences(logits, logits, divergences).ok());
  EXPECT_EQ(divergences, std::vector<double>(kRows, 0.0));
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, LogitLossesTest, testing::Values(1, 3, 17, 130, 2048));

TEST(LogitExtremesTest, HugeLogitsDoNotOverflow) {
  const auto backend = TestBackend(1);
  const Tensor logits = UploadFloats(*backend, {3e4f, -3e4f, 0.0f}, 1, 3);
  std::vector<double> loss(1);
  const std::vector<int32_t> target = {1};
  ASSERT_TRUE(backend->transformer().TokenLosses(logits, target, loss).ok());
  EXPECT_EQ(loss[0], 6e4);
}

}  // namespace
}  // namespace tern
