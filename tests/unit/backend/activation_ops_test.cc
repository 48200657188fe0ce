#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

// The definition, one rounding to float32 where an operation is one of float32.
std::vector<float> Reference(const std::vector<float>& x, int64_t cols, int bits, double clip) {
  const double levels = std::pow(2, bits) - 1;
  std::vector<float> values = x;
  for (auto row = values.begin(); row != values.end(); row += cols) {
    const auto [min, max] = std::minmax_element(row, row + cols);
    if (*min == *max) continue;
    const double low = std::min(0.0f, *min), high = std::max(0.0f, *max);
    const auto scale = static_cast<float>(clip * (high - low) / levels);
    const double zero_point = std::nearbyint(-low * levels / (high - low));
    EXPECT_TRUE(zero_point >= 0 && zero_point <= levels);
    for (auto value = row; value != row + cols; ++value) {
      const double q = std::clamp<double>(std::nearbyint(*value / scale) + zero_point, 0, levels);
      *value = scale * static_cast<float>(q - zero_point);
    }
  }
  return values;
}

// rows, cols
class ActivationOpsTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
 protected:
  std::vector<float> Quantize(Backend& backend, const std::vector<float>& x, int bits,
                              double clip) {
    const Tensor out = EmptyFloats(backend, rows_, cols_);
    EXPECT_TRUE(backend.activations()
                    .Quantize(UploadFloats(backend, x, rows_, cols_), bits, clip, out)
                    .ok());
    return DownloadFloats(backend, out);
  }

  const int64_t rows_ = GetParam().first;
  const int64_t cols_ = GetParam().second;
  const std::vector<float> x_ = RandomValues(rows_ * cols_, 1, 3.0);
};

TEST_P(ActivationOpsTest, QuantizedValuesAreTheDefinitionsToTheBit) {
  for (const int threads : {1, 2, 3}) {
    const auto backend = TestBackend(threads);
    for (int bits = 2; bits <= 8; ++bits) {
      for (const double clip : {1.0, 0.95, 0.5}) {
        EXPECT_EQ(Quantize(*backend, x_, bits, clip), Reference(x_, cols_, bits, clip))
            << bits << " bits, clip " << clip;
      }
    }
  }
}

TEST_P(ActivationOpsTest, TheOutputMayBeTheInput) {
  const auto backend = TestBackend(2);
  const Tensor x = UploadFloats(*backend, x_, rows_, cols_);
  ASSERT_TRUE(backend->activations().Quantize(x, 4, 0.9, x).ok());
  EXPECT_EQ(DownloadFloats(*backend, x), Quantize(*backend, x_, 4, 0.9));
}

TEST_P(ActivationOpsTest, WithoutClippingNoValueMovesByMoreThanHalfAStep) {
  const auto backend = TestBackend(2);
  for (const int bits : {2, 4, 8}) {
    const std::vector<float> out = Quantize(*backend, x_, bits, 1.0);
    for (int64_t row = 0; row < rows_; ++row) {
      const auto begin = x_.begin() + row * cols_;
      const auto [min, max] = std::minmax_element(begin, begin + cols_);
      const double step = (std::max(0.0f, *max) - std::min(0.0f, *min)) / (std::pow(2, bits) - 1);
      for (int64_t i = row * cols_; i < (row + 1) * cols_; ++i) {
        // Beside the half, what scale and product round: 2⁻²³ of a value.
        EXPECT_LE(std::abs(out[i] - x_[i]), step / 2 + std::abs(x_[i]) * 0x1p-22);
      }
    }
  }
}

TEST_P(ActivationOpsTest, ValuesThatAreQuantizedStayWhereTheyAre) {
  const auto backend = TestBackend(2);
  for (const int bits : {2, 4, 8}) {
    const std::vector<float> once = Quantize(*backend, x_, bits, 1.0);
    const std::vector<float> twice = Quantize(*backend, once, bits, 1.0);
    // The same integers; the scale is computed again from ends that were rounded.
    for (size_t i = 0; i < once.size(); ++i) {
      EXPECT_NEAR(twice[i], once[i], std::abs(once[i]) * 0x1p-22);
    }
  }
}

TEST_P(ActivationOpsTest, ErrorsAreTheQuantizedValuesLessTheValues) {
  const auto backend = TestBackend(3);
  const Tensor x = UploadFloats(*backend, x_, rows_, cols_);
  const Tensor error = EmptyFloats(*backend, rows_, cols_);
  ASSERT_TRUE(backend->activations().QuantizationError(x, 4, 0.8, error).ok());
  const std::vector<float> quantized = Quantize(*backend, x_, 4, 0.8);
  const std::vector<float> errors = DownloadFloats(*backend, error);
  for (size_t i = 0; i < x_.size(); ++i) {
    // The product is not rounded before x is taken away.
    EXPECT_NEAR(errors[i], quantized[i] - x_[i], std::abs(quantized[i]) * 0x1p-23);
  }
  ASSERT_TRUE(backend->activations().QuantizationError(x, 4, 0.8, x).ok());
  EXPECT_EQ(DownloadFloats(*backend, x), errors) << "in place";
}

TEST_P(ActivationOpsTest, SquaresAddUp) {
  double expected = 0;
  for (const float value : x_) expected += static_cast<double>(value) * value;
  for (const int threads : {1, 3}) {
    const auto backend = TestBackend(threads);
    const Tensor sums = UploadFloats(*backend, {100.0f, 0.0f}, 2, 1);
    const Tensor x = UploadFloats(*backend, x_, rows_, cols_);
    ASSERT_TRUE(backend->activations().AddSquares(x, sums.Rows(1, 1)).ok());
    // float64 inside; rounded to float32 by the call.
    EXPECT_FLOAT_EQ(DownloadFloats(*backend, sums)[1], static_cast<float>(expected));
    ASSERT_TRUE(backend->activations().AddSquares(x, sums.Rows(1, 1)).ok());
    EXPECT_FLOAT_EQ(DownloadFloats(*backend, sums)[1], 2 * static_cast<float>(expected));
    EXPECT_EQ(DownloadFloats(*backend, sums)[0], 100.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ActivationOpsTest,
                         testing::Values(std::pair{1, 1}, std::pair{3, 17}, std::pair{33, 130},
                                         std::pair{5, 256}, std::pair{7, 1000},
                                         std::pair{4, 12345}));

class ActivationRowsTest : public testing::Test {
 protected:
  std::vector<float> QuantizeRow(const std::vector<float>& x, int bits, double clip) {
    const auto cols = static_cast<int64_t>(x.size());
    const Tensor row = UploadFloats(*backend_, x, 1, cols);
    EXPECT_TRUE(backend_->activations().Quantize(row, bits, clip, row).ok());
    return DownloadFloats(*backend_, row);
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
};

TEST_F(ActivationRowsTest, HalvesGoToTheEvenInteger) {
  EXPECT_EQ(QuantizeRow({0, 0.5, 1.5, 2.5, 13.5, 15}, 4, 1),
            (std::vector<float>{0, 0, 2, 2, 14, 15}));
  EXPECT_EQ(QuantizeRow({-1, -0.5, 0.5, 1, 2}, 2, 1), (std::vector<float>{-1, 0, 0, 1, 2}));
}

TEST_F(ActivationRowsTest, AHalfZeroPointGoesToTheEvenIntegerToo) {
  // -l·N/(h - l) = 1.5: the zero point is 2, and the ends are -2 and 1 steps of 2.
  EXPECT_EQ(QuantizeRow({-3, -1, 0, 2.5, 3}, 2, 1), (std::vector<float>{-4, 0, 0, 2, 2}));
}

TEST_F(ActivationRowsTest, ZeroIsAlwaysAmongTheValues) {
  EXPECT_EQ(QuantizeRow({10, 20, 30}, 2, 1), (std::vector<float>{10, 20, 30}));
  EXPECT_EQ(QuantizeRow({-6, -3, -5}, 2, 1), (std::vector<float>{-6, -4, -4}));
  for (const float zero : {0.0f, -0.0f}) {
    EXPECT_EQ(QuantizeRow({0.1f, zero, 0.7f, -0.3f}, 3, 0.7)[1], 0.0f);
  }
}

TEST_F(ActivationRowsTest, ClippingTakesInTheEndsAndNarrowsTheSteps) {
  // Steps of 1 instead of 2, from 0.
  EXPECT_EQ(QuantizeRow({0, 1, 3, 6}, 2, 0.5), (std::vector<float>{0, 1, 3, 3}));
  // The zero point keeps its place: two steps below it, one above.
  EXPECT_EQ(QuantizeRow({-4, -1, 1, 2}, 2, 0.5), (std::vector<float>{-2, -1, 1, 1}));
}

TEST_F(ActivationRowsTest, ARowOfOneValueIsLeftAsItIs) {
  for (const float value : {0.0f, 0.1f, -7.3f, 1e-42f, 3e38f}) {
    const std::vector<float> row(9, value);
    EXPECT_EQ(QuantizeRow(row, 2, 0.5), row);
    const Tensor x = UploadFloats(*backend_, row, 1, 9);
    ASSERT_TRUE(backend_->activations().QuantizationError(x, 2, 0.5, x).ok());
    EXPECT_EQ(DownloadFloats(*backend_, x), std::vector<float>(9, 0.0f));
  }
}

TEST_F(ActivationRowsTest, RangesThatOverflowOrVanishDoNoHarm) {
  const std::vector<float> wide = QuantizeRow({-3e38f, 0, 3e38f}, 8, 1);
  for (const float value : wide) EXPECT_TRUE(std::isfinite(value));
  EXPECT_EQ(wide[1], 0.0f);
  const std::vector<float> tiny = {1e-44f, -1e-43f, 0};
  EXPECT_EQ(QuantizeRow(tiny, 4, 1), tiny);
}

TEST_F(ActivationRowsTest, WhatIsNotFiniteMakesItsRowNotFiniteAndNoOther) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::nanf("")}) {
    const Tensor x = UploadFloats(*backend_, {1, bad, 2, 0, 3, 1}, 2, 3);
    ASSERT_TRUE(backend_->activations().Quantize(x, 2, 1, x).ok());
    const std::vector<float> out = DownloadFloats(*backend_, x);
    EXPECT_FALSE(std::isfinite(out[1]));
    EXPECT_EQ(std::vector<float>(out.begin() + 3, out.end()), (std::vector<float>{0, 3, 1}));
  }
}

TEST(ActivationTypesTest, Bf16ActivationsAreQuantizedInFloat32AndRoundedAtTheEnd) {
  auto device = CreateBackend(TestDevice(2, ElementType::kBF16));
  if (!device.ok()) GTEST_SKIP() << "needs a device with bf16: " << device.status().message();
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{3, 17}, {5, 256}, {7, 1000}}) {
    std::vector<float> x = RandomValues(rows * cols, 1, 3.0);
    for (float& value : x) value = Bf16ToFloat(FloatToBf16(value));
    for (const int bits : {2, 4, 8}) {
      std::vector<float> expected = Reference(x, cols, bits, 0.9);
      for (float& value : expected) value = Bf16ToFloat(FloatToBf16(value));
      const Tensor floats = UploadFloats(**device, x, rows, cols);
      const Tensor bf16 = (*device)->Allocate(ElementType::kBF16, rows, cols).value();
      ASSERT_TRUE((*device)->Convert(floats, bf16).ok());
      ASSERT_TRUE((*device)->activations().Quantize(bf16, bits, 0.9, bf16).ok());
      ASSERT_TRUE((*device)->Convert(bf16, floats).ok());
      EXPECT_EQ(DownloadFloats(**device, floats), expected);
    }
  }
}

}  // namespace
}  // namespace tern
