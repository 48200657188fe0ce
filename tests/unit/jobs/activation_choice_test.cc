#include "server/jobs/activation_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "server/jobs/activation_bits_svg.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using worker::v1::SensitivityResult;

v1::MixedActivations Options(double average_bits) {
  v1::MixedActivations options;
  for (const int32_t bits : {4, 6, 8}) options.add_candidates(bits);
  options.set_average_bits(average_bits);
  options.set_beta(0.5);
  return options;
}

void Add(SensitivityResult& result, int32_t previous, int32_t bits, double loss) {
  auto& probe = *result.add_probes();
  probe.set_previous_bits(previous);
  probe.set_bits(bits);
  probe.set_loss(loss);
}

// 10 tokens at a baseline of 2 nats each; `four` and `six` are rises of the sum, and every pair of
// neighbours costs `together` more.
SensitivityResult Measured(int32_t block, double four, double six, double previous_four,
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
  return {Measured(0, 4, 1, 0, 0, 0), Measured(1, 16, 8, 4, 1, 2), Measured(2, 4, 1, 16, 8, 2)};
}

TEST(ActivationChoiceTest, ASensitivityIsARiseOfTheMeanLoss) {
  const auto choice = ChooseActivationBits(Options(6), ThreeBlocks());
  ASSERT_THAT(choice, IsOk());
  const auto& block = choice->blocks(1);
  ASSERT_EQ(block.sensitivities_size(), 2);
  EXPECT_EQ(block.sensitivities(0).bits(), 4);
  EXPECT_NEAR(block.sensitivities(0).loss_rise(), 1.6, 1e-12);
  EXPECT_NEAR(block.sensitivities(1).loss_rise(), 0.8, 1e-12);
  EXPECT_NEAR(choice->baseline_loss(), 2, 1e-12);
}

TEST(ActivationChoiceTest, AnInteractionIsWhatNeighboursCostBeyondThemselves) {
  const auto choice = ChooseActivationBits(Options(6), ThreeBlocks());
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
  const auto choice = ChooseActivationBits(Options(6), ThreeBlocks());
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
    EXPECT_THAT(CheckSensitivity(Options(6), result.block(), result), IsOk());
  }
}

TEST(ActivationChoiceTest, AResultThatNothingFollowsFromIsRefused) {
  const auto refused = [](const SensitivityResult& result) {
    return std::string(CheckSensitivity(Options(6), 1, result).message());
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
    return std::string(CheckSensitivity(Options(6), 0, result).message());
  };
  SensitivityResult bad = ThreeBlocks()[0];
  bad.clear_baseline_loss();
  EXPECT_THAT(refused(bad), HasSubstr("lacks the baseline's loss"));
  bad.set_baseline_loss(std::numeric_limits<double>::infinity());
  EXPECT_THAT(refused(bad), HasSubstr("not finite"));
}

TEST(ActivationBitsSvgTest, EveryBlockHasItsBar) {
  const auto choice = ChooseActivationBits(Options(6), ThreeBlocks());
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
