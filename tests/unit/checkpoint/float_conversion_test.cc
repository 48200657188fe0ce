#include "checkpoint/float_conversion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tern {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The value of an f16 by its definition.
float HalfByDefinition(uint16_t half) {
  const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  if (exponent == 31) return mantissa == 0 ? sign * kInfinity : kNan;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(1.0F + static_cast<float>(mantissa) / 1024.0F, exponent - 15);
}

TEST(FloatConversionTest, EveryHalfWidensToItsExactValue) {
  for (int bits = 0; bits < 65536; ++bits) {
    const float expected = HalfByDefinition(static_cast<uint16_t>(bits));
    const float actual = HalfToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(actual)) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected)) << bits;
    }
  }
}

TEST(FloatConversionTest, EveryHalfAndBf16SurvivesTheRoundTrip) {
  for (int i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    if (std::isnan(HalfToFloat(bits))) {
      ASSERT_TRUE(std::isnan(HalfToFloat(FloatToHalf(HalfToFloat(bits)))));
    } else {
      ASSERT_EQ(FloatToHalf(HalfToFloat(bits)), bits);
    }
    if (std::isnan(Bf16ToFloat(bits))) {
      ASSERT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(Bf16ToFloat(bits)))));
    } else {
      ASSERT_EQ(FloatToBf16(Bf16ToFloat(bits)), bits);
    }
  }
}

// Between every two neighbours of a 16-bit format: just below the middle rounds down, the middle
// to the even one, just above it up.
template <typename Widen, typename Narrow>
void CheckRounding(uint16_t last_finite, Widen widen, Narrow narrow) {
  for (int i = 0; i < last_finite; ++i) {
    const auto low = static_cast<uint16_t>(i);
    const auto high = static_cast<uint16_t>(i + 1);
    const double middle = (static_cast<double>(widen(low)) + widen(high)) / 2;
    const auto tie = static_cast<float>(middle);
    if (static_cast<double>(tie) != middle) continue;  // bf16 subnormals' middles are exact too
    ASSERT_EQ(narrow(tie), (low & 1) == 0 ? low : high) << i;
    ASSERT_EQ(narrow(std::nextafter(tie, 0.0F)), low) << i;
    ASSERT_EQ(narrow(std::nextafter(tie, kInfinity)), high) << i;
    ASSERT_EQ(narrow(-tie), narrow(tie) | 0x8000) << i;
  }
}

TEST(FloatConversionTest, HalfRoundsToNearestEvenSubnormalsIncluded) {
  CheckRounding(
      0x7bff, [](uint16_t half) { return HalfToFloat(half); },
      [](float value) { return FloatToHalf(value); });
}

TEST(FloatConversionTest, Bf16RoundsToNearestEven) {
  CheckRounding(
      0x7f7f, [](uint16_t bits) { return Bf16ToFloat(bits); },
      [](float value) { return FloatToBf16(value); });
}

TEST(FloatConversionTest, OverflowIsInfinity) {
  EXPECT_EQ(FloatToHalf(65519.996F), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0F), 0x7c00);
  EXPECT_EQ(FloatToHalf(1e30F), 0x7c00);
  EXPECT_EQ(FloatToHalf(-kInfinity), 0xfc00);
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(FloatToBf16(-kInfinity), 0xff80);
}

TEST(FloatConversionTest, NanStaysNan) {
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(kNan))));
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(kNan))));
  // All of this one's mantissa is in the bits that narrowing drops.
  const float low_nan = std::bit_cast<float>(0x7f800001U);
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(low_nan))));
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(low_nan))));
}

TEST(FloatConversionTest, SpansConvertElementByElement) {
  std::mt19937 random(7);
  std::vector<float> values(1003);
  for (float& value : values)
    value = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0xbfffffffU);
  std::vector<uint16_t> half(values.size());
  std::vector<uint16_t> bf16(values.size());
  std::vector<float> back(values.size());
  FloatToHalf(values, half);
  FloatToBf16(values, bf16);
  HalfToFloat(half, back);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(half[i], FloatToHalf(values[i]));
    EXPECT_EQ(bf16[i], FloatToBf16(values[i]));
    EXPECT_EQ(std::bit_cast<uint32_t>(back[i]), std::bit_cast<uint32_t>(HalfToFloat(half[i])));
  }
}

TEST(FloatConversionTest, WideningReadsUnalignedBytes) {
  const std::array<uint8_t, 5> bf16 = {0xff, 0x80, 0x3f, 0x00, 0xc0};  // from the second: 1, -2
  std::array<float, 2> out{};
  WidenToFloat(DType::kBF16, std::span(bf16).subspan(1), out);
  EXPECT_EQ(out, (std::array<float, 2>{1.0F, -2.0F}));
  const std::array<uint8_t, 5> f16 = {0xff, 0x00, 0x3c, 0x00, 0xc0};
  WidenToFloat(DType::kF16, std::span(f16).subspan(1), out);
  EXPECT_EQ(out, (std::array<float, 2>{1.0F, -2.0F}));
  const std::array<uint8_t, 9> f32 = {0xff, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
  WidenToFloat(DType::kF32, std::span(f32).subspan(1), out);
  EXPECT_EQ(out, (std::array<float, 2>{1.0F, -2.0F}));
}

}  // namespace
}  // namespace tern
