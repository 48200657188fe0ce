#include "worker/quant/column_order.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using testing::ElementsAre;

TEST(ColumnOrderTest, FallingScoresLeaveTheColumnsAsTheyStand) {
  EXPECT_THAT(FallingScores(4), ElementsAre(0, -1, -2, -3));
}

TEST(ColumnOrderTest, RandomScoresAreAPermutationOfTheSeed) {
  const std::vector<float> scores = RandomScores(500, 7);
  std::vector<float> sorted = scores;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(sorted[i], static_cast<float>(i));
  EXPECT_EQ(RandomScores(500, 7), scores);
  EXPECT_NE(RandomScores(500, 8), scores);
}

TEST(ColumnOrderTest, RandomScoresAreTheSameOnEveryPlatform) {
  // Stored results depend on them; the generator is std::mt19937_64, whose numbers are standard.
  EXPECT_THAT(RandomScores(6, 1), ElementsAre(1, 3, 0, 4, 5, 2));
}

}  // namespace
}  // namespace tern
