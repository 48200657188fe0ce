#include "worker/quant/column_order.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using testing::ElementsAre;

TEST(ColumnOrderTest, TheGroupFallsByScoreAndTheRestRisesByIndex) {
  const std::vector<float> scores = {0.1f, 0.9f, 0.2f, 0.8f, 0.3f};
  EXPECT_THAT(OrderByScore(scores, 2), ElementsAre(1, 3, 0, 2, 4));
}

TEST(ColumnOrderTest, EqualScoresGoToTheLowerIndex) {
  const std::vector<float> scores = {1, 2, 2, 1, 2};
  EXPECT_THAT(OrderByScore(scores, 2), ElementsAre(1, 2, 0, 3, 4));
}

TEST(ColumnOrderTest, AGroupWiderThanTheColumnsTakesThemAll) {
  const std::vector<float> scores = {1, 3, 2};
  EXPECT_THAT(OrderByScore(scores, 128), ElementsAre(1, 2, 0));
}

TEST(ColumnOrderTest, NaNComesLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> scores = {nan, -5, nan, 1};
  EXPECT_THAT(OrderByScore(scores, 4), ElementsAre(3, 1, 0, 2));
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
