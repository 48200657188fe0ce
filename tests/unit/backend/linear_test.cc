#include <gtest/gtest.h>

#include <cstdint>
#include <tuple>
#include <vector>

#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

// y = x·wᵀ + bias + old, in double.
std::vector<double> Reference(const std::vector<float>& x, const std::vector<float>& w,
                              const std::vector<float>& bias, const std::vector<float>& old,
                              int64_t t, int64_t k, int64_t n) {
  std::vector<double> y(t * n);
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t column = 0; column < n; ++column) {
      double sum =
          (bias.empty() ? 0.0 : bias[column]) + (old.empty() ? 0.0 : old[row * n + column]);
      for (int64_t i = 0; i < k; ++i) {
        sum += static_cast<double>(x[row * k + i]) * w[column * k + i];
      }
      y[row * n + column] = sum;
    }
  }
  return y;
}

class LinearTest : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>> {
 protected:
  // Float32 products summed in runs of 256: the error grows with the root of k and stays below
  // 1e-6 here.
  static constexpr double kTolerance = 1e-6;

  std::vector<float> Compute(int threads, bool with_bias, bool accumulate) {
    const auto backend = TestBackend(threads);
    const Tensor y =
        accumulate ? UploadFloats(*backend, old_, t_, n_) : EmptyFloats(*backend, t_, n_);
    EXPECT_TRUE(backend
                    ->Linear(UploadFloats(*backend, x_, t_, k_), UploadFloats(*backend, w_, n_, k_),
                             with_bias ? UploadFloats(*backend, bias_, 1, n_) : Tensor(),
                             accumulate, y)
                    .ok());
    return DownloadFloats(*backend, y);
  }

  const int64_t t_ = std::get<0>(GetParam());
  const int64_t k_ = std::get<1>(GetParam());
  const int64_t n_ = std::get<2>(GetParam());
  const std::vector<float> x_ = RandomValues(t_ * k_, 1);
  const std::vector<float> w_ = RandomValues(n_ * k_, 2);
  const std::vector<float> bias_ = RandomValues(n_, 3);
  const std::vector<float> old_ = RandomValues(t_ * n_, 4);
};

TEST_P(LinearTest, IsTheProductWithTheTransposedWeight) {
  EXPECT_LE(NormalizedError(Compute(2, false, false), Reference(x_, w_, {}, {}, t_, k_, n_)),
            kTolerance);
}

TEST_P(LinearTest, AddsTheBias) {
  EXPECT_LE(NormalizedError(Compute(2, true, false), Reference(x_, w_, bias_, {}, t_, k_, n_)),
            kTolerance);
}

TEST_P(LinearTest, AccumulatesOntoTheOldValue) {
  EXPECT_LE(NormalizedError(Compute(2, true, true), Reference(x_, w_, bias_, old_, t_, k_, n_)),
            kTolerance);
}

TEST_P(LinearTest, BitsDoNotDependOnTheNumberOfThreads) {
  const std::vector<float> one = Compute(1, true, true);
  EXPECT_EQ(Compute(2, true, true), one);
  EXPECT_EQ(Compute(3, true, true), one);
}

TEST_P(LinearTest, BitsOfARowDoNotDependOnTheBatch) {
  const auto backend = TestBackend(2);
  if (!RowsAreIndependent(*backend)) GTEST_SKIP() << "holds on the CPU only";
  const Tensor y = EmptyFloats(*backend, 1, n_);
  const std::vector<float> last(x_.end() - k_, x_.end());
  ASSERT_TRUE(backend
                  ->Linear(UploadFloats(*backend, last, 1, k_), UploadFloats(*backend, w_, n_, k_),
                           Tensor(), false, y)
                  .ok());
  const std::vector<float> whole = Compute(1, false, false);
  EXPECT_EQ(DownloadFloats(*backend, y), std::vector<float>(whole.end() - n_, whole.end()));
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearTest,
                         testing::Values(std::tuple{1, 1, 1}, std::tuple{3, 17, 5},
                                         std::tuple{17, 130, 3}, std::tuple{130, 300, 49},
                                         std::tuple{257, 64, 600}, std::tuple{5, 1000, 1030}));

}  // namespace
}  // namespace tern
