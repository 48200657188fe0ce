#include "worker/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace tern {
namespace {

// Frequencies and tables are float32: one rounding, relative.
constexpr double kRelative = 2e-7;

TEST(RopeTest, FrequenciesFallGeometricallyFromOne) {
  const RopeConfig rope = {.theta = 500000.0};
  const std::vector<float> frequencies = RopeFrequencies(rope, 16);
  ASSERT_EQ(frequencies.size(), 8u);
  for (int j = 0; j < 8; ++j) {
    const double expected = std::pow(500000.0, -2.0 * j / 16);
    EXPECT_NEAR(frequencies[j], expected, kRelative * expected);
  }
}

TEST(RopeTest, LinearScalingDividesEveryFrequency) {
  const std::vector<float> plain = RopeFrequencies({}, 8);
  const std::vector<float> scaled =
      RopeFrequencies({.type = RopeConfig::Type::kLinear, .factor = 4.0}, 8);
  for (int j = 0; j < 4; ++j) EXPECT_EQ(scaled[j], plain[j] / 4);
}

TEST(RopeTest, Llama3ScalingKeepsShortWavelengthsAndStretchesLongOnes) {
  const RopeConfig rope = {.type = RopeConfig::Type::kLlama3,
                           .theta = 10000.0,
                           .factor = 8.0,
                           .low_freq_factor = 1.0,
                           .high_freq_factor = 4.0,
                           .original_max_position = 256};
  const std::vector<float> plain = RopeFrequencies({.theta = 10000.0}, 32);
  const std::vector<float> scaled = RopeFrequencies(rope, 32);
  int kept = 0, blended = 0, stretched = 0;
  for (int j = 0; j < 16; ++j) {
    const double wavelength = 2 * std::numbers::pi / plain[j];
    if (wavelength < 256 / 4.0) {
      EXPECT_EQ(scaled[j], plain[j]);
      ++kept;
    } else if (wavelength > 256 / 1.0) {
      EXPECT_EQ(scaled[j], plain[j] / 8);
      ++stretched;
    } else {
      const double smooth = (256 / wavelength - 1) / (4 - 1);
      const double expected = (1 - smooth) * plain[j] / 8 + smooth * plain[j];
      EXPECT_NEAR(scaled[j], expected, 1e-6 * expected);  // smooth loses a few bits near 0 and 1
      ++blended;
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(blended, 0);
  EXPECT_GT(stretched, 0);
}

TEST(RopeTest, TablesHoldCosineAndSineOfPositionTimesFrequency) {
  const std::vector<float> frequencies = RopeFrequencies({}, 6);
  const RopeTables tables = MakeRopeTables({}, 6, 50);
  ASSERT_EQ(tables.cos.size(), 150u);
  for (int position = 0; position < 50; ++position) {
    for (int j = 0; j < 3; ++j) {
      const double angle = static_cast<double>(position) * frequencies[j];
      // The angle itself is rounded to float32: up to 2e-6 at 49.
      EXPECT_NEAR(tables.cos[position * 3 + j], std::cos(angle), 3e-6);
      EXPECT_NEAR(tables.sin[position * 3 + j], std::sin(angle), 3e-6);
    }
  }
}

}  // namespace
}  // namespace tern
