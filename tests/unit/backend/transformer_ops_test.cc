#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

// rows, cols
class TransformerOpsTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
 protected:
  const int64_t rows_ = GetParam().first;
  const int64_t cols_ = GetParam().second;
  const std::vector<float> x_ = RandomValues(rows_ * cols_, 1, 3.0);
  const std::vector<float> y_ = RandomValues(rows_ * cols_, 2);
};

TEST_P(TransformerOpsTest, RmsNormDividesByTheRootMeanSquare) {
  constexpr double kEps = 1e-3;
  const std::vector<float> weight = RandomValues(cols_, 3);
  std::vector<double> expected(x_.size());
  for (int64_t row = 0; row < rows_; ++row) {
    double squares = 0;
    for (int64_t i = 0; i < cols_; ++i) squares += std::pow(x_[row * cols_ + i], 2);
    for (int64_t i = 0; i < cols_; ++i) {
      expected[row * cols_ + i] =
          x_[row * cols_ + i] / std::sqrt(squares / cols_ + kEps) * weight[i];
    }
  }
  for (const int threads : {1, 2, 3}) {
    const auto backend = TestBackend(threads);
    const Tensor x = UploadFloats(*backend, x_, rows_, cols_);
    const Tensor w = UploadFloats(*backend, weight, 1, cols_);
    const Tensor out = EmptyFloats(*backend, rows_, cols_);
    ASSERT_TRUE(backend->transformer().RmsNorm(x, w, kEps, out).ok());
    // Three roundings of float32 a value.
    EXPECT_LE(NormalizedError(DownloadFloats(*backend, out), expected), 2e-7);
    ASSERT_TRUE(backend->transformer().RmsNorm(x, w, kEps, x).ok());
    EXPECT_EQ(DownloadFloats(*backend, x), DownloadFloats(*backend, out)) << "in place";
  }
}

TEST_P(TransformerOpsTest, SwiGluMultipliesBySiluOfTheGate) {
  std::vector<double> expected(x_.size());
  for (size_t i = 0; i < x_.size(); ++i) {
    const double gate = x_[i];
    expected[i] = gate / (1.0 + std::exp(-gate)) * y_[i];
  }
  for (const int threads : {1, 2, 3}) {
    const auto backend = TestBackend(threads);
    const Tensor gate = UploadFloats(*backend, x_, rows_, cols_);
    const Tensor up = UploadFloats(*backend, y_, rows_, cols_);
    const Tensor out = EmptyFloats(*backend, rows_, cols_);
    ASSERT_TRUE(backend->transformer().SwiGlu(gate, up, out).ok());
    // The exponential is good to 1e-7 relative.
    EXPECT_LE(NormalizedError(DownloadFloats(*backend, out), expected), 3e-7);
    ASSERT_TRUE(backend->transformer().SwiGlu(gate, up, gate).ok());
    EXPECT_EQ(DownloadFloats(*backend, gate), DownloadFloats(*backend, out)) << "in place";
  }
}

TEST_P(TransformerOpsTest, EmbedCopiesTheRowsOfTheTable) {
  const auto backend = TestBackend(2);
  const Tensor table = UploadFloats(*backend, x_, rows_, cols_);
  const std::vector<int32_t> ids = {static_cast<int32_t>(rows_ - 1), 0,
                                    static_cast<int32_t>(rows_ / 2)};
  const Tensor out = EmptyFloats(*backend, 3, cols_);
  ASSERT_TRUE(backend->transformer()
                  .Embed(table, Upload(*backend, ElementType::kI32, ids, 3, 1), out)
                  .ok());
  std::vector<float> expected;
  for (const int32_t id : ids) {
    expected.insert(expected.end(), x_.begin() + id * cols_, x_.begin() + (id + 1) * cols_);
  }
  EXPECT_EQ(DownloadFloats(*backend, out), expected);
}

INSTANTIATE_TEST_SUITE_P(Shapes, TransformerOpsTest,
                         testing::Values(std::pair{1, 1}, std::pair{3, 17}, std::pair{33, 130},
                                         std::pair{130, 64}));

TEST(SwiGluTest, HugeGatesSaturate) {
  const auto backend = TestBackend(1);
  const Tensor gate = UploadFloats(*backend, {-1e4f, 1e4f}, 1, 2);
  const Tensor up = UploadFloats(*backend, {2.0f, 2.0f}, 1, 2);
  ASSERT_TRUE(backend->transformer().SwiGlu(gate, up, gate).ok());
  const std::vector<float> out = DownloadFloats(*backend, gate);
  EXPECT_NEAR(out[0], 0.0f, 1e-30);  // silu(-1e4) is 0 in any precision
  EXPECT_EQ(out[1], 2e4f);
}

TEST(ApplyRopeTest, RotatesElementJWithElementJPlusHalfByThePositionsAngle) {
  constexpr int64_t kWindows = 3, kLength = 11, kHeads = 3;
  for (const int64_t half : {1, 3, 8, 16, 25}) {
    const int64_t cols = kHeads * 2 * half;
    const std::vector<float> x = RandomValues(kWindows * kLength * cols, 1);
    const std::vector<float> cos = RandomValues(kLength * half, 2);
    const std::vector<float> sin = RandomValues(kLength * half, 3);
    std::vector<double> expected(x.size());
    for (int64_t row = 0; row < kWindows * kLength; ++row) {
      for (int64_t head = 0; head < kHeads; ++head) {
        for (int64_t j = 0; j < half; ++j) {
          const int64_t a = row * cols + head * 2 * half + j, b = a + half;
          const double c = cos[row % kLength * half + j], s = sin[row % kLength * half + j];
          expected[a] = x[a] * c - x[b] * s;
          expected[b] = x[b] * c + x[a] * s;
        }
      }
    }
    for (const int threads : {1, 2, 3}) {
      const auto backend = TestBackend(threads);
      const Tensor rotated = UploadFloats(*backend, x, kWindows * kLength, cols);
      ASSERT_TRUE(backend->transformer()
                      .ApplyRope(UploadFloats(*backend, cos, kLength, half),
                                 UploadFloats(*backend, sin, kLength, half), kHeads, rotated)
                      .ok());
      // One rounding of each product and of the sum.
      EXPECT_LE(NormalizedError(DownloadFloats(*backend, rotated), expected), 2e-7);
    }
  }
}

}  // namespace
}  // namespace tern
