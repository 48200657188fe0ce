#include "server/jobs/activation_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/activation_bits_svg.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using worker::v1::SensitivityResult;

v1::MixedActivations Options(double average_bits) {
  v1::MixedActivations options;
  for (const int32_t bits : {4, 6, 8}) options.add_candidates(bits);
  options.set_average_bits(average_bits);
  options.set_beta(0.5);
  options.set_interactions(v1::MixedActivations::INTERACTIONS_ALL);
  return options;
}

v1::MixedActivations NeededOptions(double average_bits) {
  v1::MixedActivations options = Options(average_bits);
  options.set_interactions(v1::MixedActivations::INTERACTIONS_NEEDED);
  return options;
}

TaskRecord SensitivityTaskOf(int32_t block) {
  TaskRecord task;
  task.kind = TaskKind::kSensitivity;
  task.name = absl::StrCat("sensitivity/", block);
  task.index = block;
  return task;
}

void Add(SensitivityResult& result, int32_t previous, int32_t bits, double loss) {
  auto& probe = *result.add_probes();
  probe.set_previous_bits(previous);
  probe.set_bits(bits);
  probe.set_loss(loss);
}

// 10 tokens at a baseline of 2 nats each; `four` and `six` are rises of the sum, and every pair of
// neighbours costs `together` more.
SensitivityResult MeasuredBlock(int32_t block, double four, double six, double previous_four,
                                double previous_six, double together) {
  SensitivityResult result;
  result.set_block(block);
  result.set_tokens(10);
  if (block == 0) result.set_baseline_loss(20);
  Add(result, 0, 4, 20 + four);
  Add(result, 0, 6, 20 + six);
  if (block == 0) return result;
  Add(result, 4, 4, 20 + previous_four + four + together);
  Add(result, 4, 6, 20 + previous_four + six + together);
  Add(result, 6, 4, 20 + previous_six + four + together);
  Add(result, 6, 6, 20 + previous_six + six + together);
  return result;
}

std::vector<SensitivityResult> ThreeBlocks() {
  return {MeasuredBlock(0, 4, 1, 0, 0, 0), MeasuredBlock(1, 16, 8, 4, 1, 2),
          MeasuredBlock(2, 4, 1, 16, 8, 2)};
}

absl::StatusOr<v1::ActivationBits> BitsChosen(double average_bits) {
  const auto choice = ChooseActivationBits(Options(average_bits), 3, ThreeBlocks());
  if (!choice.ok()) return choice.status();
  EXPECT_TRUE(choice->unmeasured.empty());
  return choice->bits;
}

TEST(ActivationChoiceTest, ASensitivityIsARiseOfTheMeanLoss) {
  const auto choice = BitsChosen(6);
  ASSERT_THAT(choice, IsOk());
  const auto& block = choice->blocks(1);
  ASSERT_EQ(block.sensitivities_size(), 2);
  EXPECT_EQ(block.sensitivities(0).bits(), 4);
  EXPECT_NEAR(block.sensitivities(0).loss_rise(), 1.6, 1e-12);
  EXPECT_NEAR(block.sensitivities(1).loss_rise(), 0.8, 1e-12);
  EXPECT_NEAR(choice->baseline_loss(), 2, 1e-12);
}

TEST(ActivationChoiceTest, AnInteractionIsWhatNeighboursCostBeyondThemselves) {
  const auto choice = BitsChosen(6);
  ASSERT_THAT(choice, IsOk());
  EXPECT_EQ(choice->blocks(0).interactions_size(), 0);
  ASSERT_EQ(choice->blocks(2).interactions_size(), 4);
  const auto& interaction = choice->blocks(2).interactions(1);
  EXPECT_EQ(interaction.previous_bits(), 4);
  EXPECT_EQ(interaction.bits(), 6);
  EXPECT_NEAR(interaction.loss_rise(), 0.2, 1e-12);
}

TEST(ActivationChoiceTest, TheBudgetGoesToTheBlockThatMindsMost) {
  // 18 bits for three blocks: 8 in the middle leaves 10, 4 and 6 or 6 and 4, equally dear.
  const auto choice = BitsChosen(6);
  ASSERT_THAT(choice, IsOk());
  EXPECT_EQ(choice->blocks(0).bits(), 4);
  EXPECT_EQ(choice->blocks(1).bits(), 8);
  EXPECT_EQ(choice->blocks(2).bits(), 6);
  EXPECT_EQ(choice->average_bits(), 6);
  // Both neighbours of a block at 8 bits: no interaction counts.
  EXPECT_NEAR(choice->expected_loss_rise(), 0.4 + 0.1, 1e-12);
  EXPECT_EQ(choice->beta(), 0.5);
}

TEST(ActivationChoiceTest, ACompleteResultIsAccepted) {
  for (const SensitivityResult& result : ThreeBlocks()) {
    EXPECT_THAT(CheckSensitivity(Options(6), SensitivityTaskOf(result.block()), result), IsOk());
  }
}

TEST(ActivationChoiceTest, AResultThatNothingFollowsFromIsRefused) {
  const auto refused = [](const SensitivityResult& result) {
    return std::string(CheckSensitivity(Options(6), SensitivityTaskOf(1), result).message());
  };
  const SensitivityResult good = ThreeBlocks()[1];
  EXPECT_EQ(refused(good), "");
  SensitivityResult bad = good;
  bad.set_block(2);
  EXPECT_THAT(refused(bad), HasSubstr("is that of block 2"));
  bad = good;
  bad.set_tokens(0);
  EXPECT_THAT(refused(bad), HasSubstr("no tokens"));
  bad = good;
  bad.set_baseline_loss(20);
  EXPECT_THAT(refused(bad), HasSubstr("a baseline it was not asked for"));
  bad = good;
  bad.mutable_probes(0)->set_loss(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(refused(bad), HasSubstr("not finite"));
  bad = good;
  bad.mutable_probes()->RemoveLast();
  EXPECT_THAT(refused(bad), HasSubstr("lacks the probe of 6 bits after 6"));
  bad = good;
  *bad.add_probes() = good.probes(0);
  EXPECT_THAT(refused(bad), HasSubstr("twice"));
  bad = good;
  Add(bad, 2, 4, 1);
  EXPECT_THAT(refused(bad), HasSubstr("too many"));
}

TEST(ActivationChoiceTest, TheFirstBlocksResultHasTheBaseline) {
  const auto refused = [](const SensitivityResult& result) {
    return std::string(CheckSensitivity(Options(6), SensitivityTaskOf(0), result).message());
  };
  SensitivityResult bad = ThreeBlocks()[0];
  bad.clear_baseline_loss();
  EXPECT_THAT(refused(bad), HasSubstr("lacks the baseline's loss"));
  bad.set_baseline_loss(std::numeric_limits<double>::infinity());
  EXPECT_THAT(refused(bad), HasSubstr("not finite"));
}

TEST(ActivationChoiceTest, WhereTheyAreMeasuredAsNeededASensitivityTaskHasNoPairs) {
  EXPECT_THAT(ProbesOf(NeededOptions(6), SensitivityTaskOf(1)),
              ElementsAre(BitsProbe{0, 4}, BitsProbe{0, 6}));
  EXPECT_THAT(ProbesOf(Options(6), SensitivityTaskOf(1)),
              ElementsAre(BitsProbe{0, 4}, BitsProbe{0, 6}, BitsProbe{4, 4}, BitsProbe{4, 6},
                          BitsProbe{6, 4}, BitsProbe{6, 6}));
  EXPECT_THAT(ProbesOf(Options(6), SensitivityTaskOf(0)),
              ElementsAre(BitsProbe{0, 4}, BitsProbe{0, 6}));
}

TEST(ActivationChoiceTest, AnInteractionTaskIsAskedForItsPairsAndNoBaseline) {
  TaskRecord task = SensitivityTaskOf(0);
  EXPECT_TRUE(MeasuresBaseline(task));
  task = SensitivityTaskOf(2);
  task.kind = TaskKind::kInteraction;
  task.probes = {{6, 4}};
  EXPECT_FALSE(MeasuresBaseline(task));
  SensitivityResult result;
  result.set_block(2);
  result.set_tokens(10);
  Add(result, 6, 4, 21);
  EXPECT_THAT(CheckSensitivity(NeededOptions(6), task, result), IsOk());
  Add(result, 0, 4, 21);
  EXPECT_THAT(CheckSensitivity(NeededOptions(6), task, result),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("too many")));
}

// What ThreeBlocks() has of single blocks, and the pairs of `known`.
std::vector<SensitivityResult> Only(const std::map<int32_t, std::vector<BitsProbe>>& known) {
  std::vector<SensitivityResult> results = ThreeBlocks();
  for (SensitivityResult& result : results) {
    const auto probes = result.probes();
    result.clear_probes();
    for (const auto& probe : probes) {
      const auto of_block = known.find(result.block());
      const BitsProbe bits = {probe.previous_bits(), probe.bits()};
      if (bits.previous_bits == 0 ||
          (of_block != known.end() && std::ranges::count(of_block->second, bits) > 0)) {
        *result.add_probes() = probe;
      }
    }
  }
  return results;
}

TEST(ActivationChoiceTest, AnInteractionThatTheChoiceCountsOnIsAskedFor) {
  // 12 bits are 4 everywhere, whatever they cost.
  const auto guess = ChooseActivationBits(NeededOptions(4), 3, Only({}));
  ASSERT_THAT(guess, IsOk());
  EXPECT_THAT(guess->unmeasured, ElementsAre(Pair(1, ElementsAre(BitsProbe{4, 4})),
                                             Pair(2, ElementsAre(BitsProbe{4, 4}))));
  // δ: 0.4, 1.6, 0.4; what nobody measured is taken to be -0.4, the lesser of the neighbours'.
  EXPECT_NEAR(guess->bits.expected_loss_rise(), 2.4 - 0.5 * 0.8, 1e-12);
  EXPECT_EQ(guess->bits.blocks(1).interactions_size(), 0);

  const auto choice = ChooseActivationBits(NeededOptions(4), 3, Only(guess->unmeasured));
  ASSERT_THAT(choice, IsOk());
  EXPECT_TRUE(choice->unmeasured.empty());
  EXPECT_NEAR(choice->bits.expected_loss_rise(), 2.4 + 0.5 * 0.4, 1e-12);
  ASSERT_EQ(choice->bits.blocks(1).interactions_size(), 1);
  EXPECT_NEAR(choice->bits.blocks(1).interactions(0).loss_rise(), 0.2, 1e-12);
}

TEST(ActivationChoiceTest, NeighboursOfABlockAtTheBaselineNeedNone) {
  // 8 in the middle.
  const auto choice = ChooseActivationBits(NeededOptions(6), 3, Only({{1, {{4, 6}, {6, 6}}}}));
  ASSERT_THAT(choice, IsOk());
  EXPECT_EQ(choice->bits.blocks(1).bits(), 8);
  EXPECT_TRUE(choice->unmeasured.empty());
}

TEST(ActivationChoiceTest, WithoutWeightNoInteractionIsNeeded) {
  v1::MixedActivations options = NeededOptions(4);
  options.set_beta(0);
  const auto choice = ChooseActivationBits(options, 3, Only({}));
  ASSERT_THAT(choice, IsOk());
  EXPECT_TRUE(choice->unmeasured.empty());
}

// A table of six blocks. Neighbours cost no less together than the worse of them does alone.
class RandomTable {
 public:
  explicit RandomTable(uint32_t seed) : random_(seed) {
    for (int32_t block = 0; block < kBlocks; ++block) {
      // Single blocks' rises, in whole thousandths, so that sums are exact to a rounding.
      const int32_t scale = 1 + static_cast<int32_t>(random_() % 8);
      rises_.push_back({{2, 40 * scale + Up(20)}, {4, 6 * scale + Up(6)}, {6, scale + Up(3) - 2}});
      if (block == 0) continue;
      for (const auto& [previous, before] : rises_[block - 1]) {
        for (const auto& [bits, own] : rises_[block]) {
          const int32_t least = -std::max(0, std::min(before, own));
          interactions_[{block, {previous, bits}}] = least + Up(1 + std::abs(2 * least));
        }
      }
    }
  }

  SensitivityResult Sensitivity(int32_t block) const {
    SensitivityResult result = Empty(block);
    if (block == 0) result.set_baseline_loss(kBaseline);
    for (const auto& [bits, rise] : rises_[block]) Add(result, 0, bits, kBaseline + rise);
    return result;
  }
  SensitivityResult Interactions(int32_t block, const std::vector<BitsProbe>& probes) const {
    SensitivityResult result = Empty(block);
    for (const BitsProbe& probe : probes) {
      const double rise = rises_[block - 1].at(probe.previous_bits) + rises_[block].at(probe.bits) +
                          interactions_.at({block, probe});
      Add(result, probe.previous_bits, probe.bits, kBaseline + rise);
    }
    return result;
  }

  static constexpr int32_t kBlocks = 6;

 private:
  static constexpr double kBaseline = 4096;

  static SensitivityResult Empty(int32_t block) {
    SensitivityResult result;
    result.set_block(block);
    result.set_tokens(1);
    return result;
  }
  int32_t Up(int32_t below) { return static_cast<int32_t>(random_() % below); }

  std::mt19937 random_;
  std::vector<std::map<int32_t, int32_t>> rises_;  // bits -> rise
  std::map<std::pair<int32_t, BitsProbe>, int32_t> interactions_;
};

TEST(ActivationChoiceTest, MeasuredAsNeededTheChoiceCostsWhatThatOfTheWholeTableDoes) {
  constexpr int32_t kPairs = 9 * (RandomTable::kBlocks - 1);
  int32_t measured_pairs = 0;
  constexpr int32_t kTables = 60;
  for (uint32_t seed = 0; seed < kTables; ++seed) {
    const RandomTable table(seed);
    v1::MixedActivations options = NeededOptions(3 + (seed % 5));
    options.clear_candidates();
    for (const int32_t bits : {2, 4, 6, 8}) options.add_candidates(bits);
    std::vector<SensitivityResult> whole;
    std::vector<SensitivityResult> needed;
    for (int32_t block = 0; block < RandomTable::kBlocks; ++block) {
      whole.push_back(table.Sensitivity(block));
      needed.push_back(table.Sensitivity(block));
      if (block == 0) continue;
      std::vector<BitsProbe> pairs;
      for (const int32_t previous : {2, 4, 6}) {
        for (const int32_t bits : {2, 4, 6}) pairs.push_back({previous, bits});
      }
      whole.push_back(table.Interactions(block, pairs));
    }
    const auto expected = ChooseActivationBits(options, RandomTable::kBlocks, whole);
    ASSERT_THAT(expected, IsOk());
    auto choice = ChooseActivationBits(options, RandomTable::kBlocks, needed);
    while (choice.ok() && !choice->unmeasured.empty()) {
      for (const auto& [block, probes] : choice->unmeasured) {
        needed.push_back(table.Interactions(block, probes));
        measured_pairs += static_cast<int32_t>(probes.size());
      }
      choice = ChooseActivationBits(options, RandomTable::kBlocks, needed);
    }
    ASSERT_THAT(choice, IsOk());
    EXPECT_NEAR(choice->bits.expected_loss_rise(), expected->bits.expected_loss_rise(), 1e-9)
        << "table " << seed;
  }
  EXPECT_LT(measured_pairs, kTables * kPairs / 2);
}

TEST(ActivationBitsSvgTest, EveryBlockHasItsBar) {
  const auto choice = BitsChosen(6);
  ASSERT_THAT(choice, IsOk());
  const std::string svg = ActivationBitsSvg(*choice);
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("<title>block 0: 4 bits</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>block 2: 6 bits</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("block 3:")));
  EXPECT_THAT(svg, HasSubstr("average 6.00"));
  EXPECT_EQ(svg, ActivationBitsSvg(*choice));
}

TEST(ActivationBitsSvgTest, ManyBlocksWidenIt) {
  EXPECT_THAT(ActivationBitsSvg(FixedActivationBits(4, 2)), HasSubstr("width=\"320\""));
  EXPECT_THAT(ActivationBitsSvg(FixedActivationBits(4, 80)), HasSubstr("width=\"1184\""));
}

}  // namespace
}  // namespace tern
