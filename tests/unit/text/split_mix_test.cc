#include "checkpoint/text/split_mix.h"

#include <gtest/gtest.h>

#include <array>

namespace tern {
namespace {

TEST(SplitMix64Test, GivesThePublishedNumbers) {
  // The sequence of seed 1234567 that implementations of the generator are compared by.
  SplitMix64 random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
  EXPECT_EQ(random.Next(), 4593380528125082431u);
  EXPECT_EQ(random.Next(), 16408922859458223821u);
}

TEST(SplitMix64Test, BelowIsUniform) {
  SplitMix64 random(1);
  std::array<int, 3> counts{};
  for (int i = 0; i < 30'000; ++i) ++counts[random.Below(3)];
  // 5 standard deviations of a binomial count: 5·sqrt(30000·1/3·2/3) = 408.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 408);
}

}  // namespace
}  // namespace tern
