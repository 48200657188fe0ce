#include "server/jobs/bit_allocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

// All costs 0.
BitCosts Free(size_t blocks, std::vector<int32_t> candidates) {
  const size_t count = candidates.size();
  const std::vector<double> row(count, 0);
  return {std::move(candidates), std::vector(blocks, row),
          std::vector(blocks, std::vector(count, row))};
}

// Whole costs, so that sums are exact; 0 where either block is at the greatest width. Small ones,
// so that ties are frequent.
BitCosts Random(size_t blocks, const std::vector<int32_t>& candidates, std::mt19937& random) {
  BitCosts costs = Free(blocks, candidates);
  std::uniform_int_distribution<int> rise(-2, 6);
  for (size_t block = 0; block < blocks; ++block) {
    for (size_t c = 0; c + 1 < candidates.size(); ++c) {
      costs.sensitivity[block][c] = rise(random);
      for (size_t p = 0; p + 1 < candidates.size(); ++p) {
        costs.interaction[block][p][c] = rise(random);
      }
    }
  }
  return costs;
}

double CostOf(const BitCosts& costs, double beta, const std::vector<size_t>& choice) {
  double cost = 0;
  for (size_t i = choice.size(); i-- > 0;) {
    double own = costs.sensitivity[i][choice[i]];
    if (i > 0) own += beta * costs.interaction[i][choice[i - 1]][choice[i]];
    cost = own + cost;
  }
  return cost;
}

// Every choice, in lexicographic order: the first of the cheapest.
BitAllocation BruteForce(const BitCosts& costs, double beta, double average_bits) {
  const size_t blocks = costs.sensitivity.size();
  BitAllocation best;
  best.cost = std::numeric_limits<double>::infinity();
  std::vector<size_t> choice(blocks, 0);
  while (true) {
    std::vector<int32_t> bits;
    for (const size_t c : choice) bits.push_back(costs.candidates[c]);
    const auto used = static_cast<double>(std::accumulate(bits.begin(), bits.end(), 0));
    const double cost = CostOf(costs, beta, choice);
    if (used <= static_cast<double>(blocks) * average_bits && cost < best.cost) {
      best = {bits, cost};
    }
    size_t i = blocks;
    while (i > 0 && ++choice[i - 1] == costs.candidates.size()) choice[--i] = 0;
    if (i == 0) return best;
  }
}

TEST(BitAllocationTest, IsThatOfBruteForce) {
  std::mt19937 random(7);
  const std::vector<int32_t> sets[] = {{2, 4, 6, 8}, {4, 8}, {2, 6, 8}, {6, 8}};
  for (int trial = 0; trial < 400; ++trial) {
    const std::vector<int32_t>& candidates = sets[trial % 4];
    const auto blocks = static_cast<size_t>(1 + random() % 6);
    const BitCosts costs = Random(blocks, candidates, random);
    // In quarters, so that n·average is exact; fractional budgets are among them.
    const int32_t steps = (8 - candidates.front()) * 4;
    const double average = candidates.front() + static_cast<double>(random() % (steps + 1)) / 4;
    const double beta = static_cast<double>(random() % 5) / 4;
    SCOPED_TRACE(absl::StrCat("trial ", trial, " average ", average, " beta ", beta));
    const BitAllocation expected = BruteForce(costs, beta, average);
    const auto found = AllocateBits(costs, beta, average);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(found->bits, expected.bits);
    EXPECT_EQ(found->cost, expected.cost);
  }
}

TEST(BitAllocationTest, TheBudgetGoesWhereItSavesMost) {
  BitCosts costs = Free(3, {4, 8});
  for (int block = 0; block < 3; ++block) costs.sensitivity[block][0] = 1 + block % 2;
  const auto found = AllocateBits(costs, 0.5, 16.0 / 3);
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->bits, ElementsAre(4, 8, 4));
  EXPECT_EQ(found->cost, 2);
}

TEST(BitAllocationTest, NeighboursThatHurtEachOtherAreKeptApart) {
  BitCosts costs = Free(4, {2, 8});
  for (int block = 0; block < 4; ++block) {
    costs.sensitivity[block][0] = 1;
    costs.interaction[block][0][0] = 10;
  }
  const auto with = AllocateBits(costs, 1, 5);
  ASSERT_THAT(with, IsOk());
  EXPECT_THAT(with->bits, ElementsAre(2, 8, 2, 8));
  // β = 0 does not see them.
  const auto without = AllocateBits(costs, 0, 5);
  ASSERT_THAT(without, IsOk());
  EXPECT_THAT(without->bits, ElementsAre(2, 2, 8, 8));
}

TEST(BitAllocationTest, OfEqualChoicesTheFewestBitsFirst) {
  const auto found = AllocateBits(Free(4, {2, 4, 6, 8}), 0.5, 4);
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->bits, ElementsAre(2, 2, 2, 2));
}

TEST(BitAllocationTest, AFractionalBudgetIsNotExceeded) {
  BitCosts costs = Free(10, {2, 4, 6, 8});
  for (auto& block : costs.sensitivity) block = {9, 3, 1, 0};
  for (const auto& [average, bits] : {std::pair(4.1, 40), {4.3, 42}, {4.7, 46}, {8.0, 80}}) {
    const auto found = AllocateBits(costs, 0.5, average);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(std::accumulate(found->bits.begin(), found->bits.end(), 0), bits) << average;
  }
}

TEST(BitAllocationTest, TheLeastBudgetLeavesNoChoice) {
  std::mt19937 random(3);
  const auto found = AllocateBits(Random(5, {2, 4, 6, 8}, random), 0.5, 2);
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->bits, Each(2));
}

TEST(BitAllocationTest, ABudgetBelowTheLeastWidthIsRefused) {
  EXPECT_THAT(AllocateBits(Free(3, {4, 8}), 0.5, 3),
              IsError(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("3 blocks")));
}

}  // namespace
}  // namespace tern
