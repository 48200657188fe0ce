#include "client/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const CommandSyntax& Syntax() {
  static const auto& syntax = *new CommandSyntax{
      .name = "bake",
      .summary = "Bakes a cake",
      .positionals = {"CAKE"},
      .options =
          {{.name = "minutes", .kind = OptionKind::kCount, .placeholder = "N", .help = "How long."},
           {.name = "seed", .kind = OptionKind::kUint64, .placeholder = "S", .help = "Luck."},
           {.name = "wait",
            .kind = OptionKind::kSeconds,
            .placeholder = "SECONDS",
            .help = "Before."},
           {.name = "with", .placeholder = "THING", .help = "A thing.", .repeated = true},
           {.name = "hot", .kind = OptionKind::kFlag, .help = "Serve hot."},
           {.name = "form",
            .kind = OptionKind::kChoice,
            .help = "The form.",
            .choices = {"round", "square"}}},
  };
  return syntax;
}

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words) {
  return ParseArguments(Syntax(), words);
}

std::string ErrorOf(const std::vector<std::string>& words) {
  const auto arguments = Parse(words);
  EXPECT_EQ(arguments.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(arguments.status().message());
}

TEST(CommandLineTest, OptionsStandBeforeAndAfterPositionals) {
  const auto before = Parse({"--minutes", "3", "plum"});
  const auto after = Parse({"plum", "--minutes=3"});
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(before->Positional(0), "plum");
  EXPECT_EQ(after->Positional(0), "plum");
  EXPECT_EQ(before->Count("minutes"), 3);
  EXPECT_EQ(after->Count("minutes"), 3);
}

TEST(CommandLineTest, ValueMayHoldEqualsSigns) {
  const auto arguments = Parse({"plum", "--with=a=b", "--with", "c=d"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_THAT(arguments->All("with"), ElementsAre("a=b", "c=d"));
}

TEST(CommandLineTest, AfterTwoDashesEverythingIsPositional) {
  const auto arguments = Parse({"--hot", "--", "--minutes"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->Positional(0), "--minutes");
  EXPECT_FALSE(arguments->Has("minutes"));
}

TEST(CommandLineTest, AbsentOptionsHaveTheDefaultAsked) {
  const auto arguments = Parse({"plum"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->Count("minutes", 7), 7);
  EXPECT_EQ(arguments->Uint64("seed", 8), 8u);
  EXPECT_EQ(arguments->Text("form", "round"), "round");
  EXPECT_EQ(arguments->Seconds("wait", absl::Seconds(9)), absl::Seconds(9));
  EXPECT_FALSE(arguments->Has("hot"));
}

TEST(CommandLineTest, SeedTakesAll64Bits) {
  const auto arguments = Parse({"plum", "--seed", "18446744073709551615"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->Uint64("seed"), 18446744073709551615u);
}

TEST(CommandLineTest, SecondsTakeFractions) {
  const auto arguments = Parse({"plum", "--wait", "0.25"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->Seconds("wait", absl::ZeroDuration()), absl::Milliseconds(250));
}

TEST(CommandLineTest, UnknownOptionIsRefusedWithTheNearestOne) {
  EXPECT_EQ(ErrorOf({"plum", "--minuets", "3"}),
            "unknown option --minuets; did you mean --minutes?");
}

TEST(CommandLineTest, UnknownOptionUnlikeAnyPointsToHelp) {
  EXPECT_EQ(ErrorOf({"plum", "--temperature=3"}),
            "unknown option --temperature; see `tern help bake`");
}

TEST(CommandLineTest, NumbersOfTheWrongFormNameTheirOption) {
  EXPECT_EQ(ErrorOf({"plum", "--minutes", "x3"}),
            "--minutes: \"x3\" is not a whole number from 0 to 2147483647");
  EXPECT_THAT(ErrorOf({"plum", "--minutes", "-5"}), HasSubstr("--minutes: \"-5\""));
  EXPECT_THAT(ErrorOf({"plum", "--minutes", "2147483648"}), HasSubstr("--minutes"));
  EXPECT_THAT(ErrorOf({"plum", "--minutes", "1.5"}), HasSubstr("--minutes"));
  EXPECT_THAT(ErrorOf({"plum", "--seed", "-1"}), HasSubstr("--seed"));
  EXPECT_THAT(ErrorOf({"plum", "--wait", "nan"}), HasSubstr("--wait"));
  EXPECT_THAT(ErrorOf({"plum", "--wait", "-1"}), HasSubstr("--wait"));
}

TEST(CommandLineTest, ChoicesAreListed) {
  EXPECT_EQ(ErrorOf({"plum", "--form", "oval"}), "--form: \"oval\" is not one of round, square");
}

TEST(CommandLineTest, MissingValueIsRefusedEvenBeforeAnotherOption) {
  EXPECT_EQ(ErrorOf({"plum", "--form"}), "--form needs a value");
  EXPECT_EQ(ErrorOf({"plum", "--form", "--hot"}), "--form needs a value");
}

TEST(CommandLineTest, EmptyValueIsRefused) {
  EXPECT_EQ(ErrorOf({"plum", "--with="}), "--with: the value is empty");
}

TEST(CommandLineTest, FlagTakesNoValue) {
  EXPECT_EQ(ErrorOf({"plum", "--hot=yes"}), "--hot takes no value");
}

TEST(CommandLineTest, OptionGivenTwiceIsRefusedUnlessRepeated) {
  EXPECT_EQ(ErrorOf({"plum", "--minutes=1", "--minutes=2"}), "--minutes is given twice");
  EXPECT_TRUE(Parse({"plum", "--with=a", "--with=b"}).ok());
}

TEST(CommandLineTest, MissingAndSurplusPositionalsAreNamed) {
  EXPECT_EQ(ErrorOf({}), "CAKE is missing; usage: tern bake CAKE [options]");
  EXPECT_EQ(ErrorOf({"plum", "pear"}), "unexpected argument \"pear\"; see `tern help bake`");
}

TEST(CommandLineTest, RequiredOptionIsNamed) {
  CommandSyntax syntax = Syntax();
  syntax.options[0].required = true;
  const auto arguments = ParseArguments(syntax, std::vector<std::string>{"plum"});
  EXPECT_EQ(arguments.status().message(), "--minutes N is missing");
}

TEST(CommandLineTest, HelpShowsEveryOptionInItsForm) {
  EXPECT_EQ(HelpText(Syntax()),
            "Usage: tern bake CAKE [options]\n"
            "\n"
            "Bakes a cake\n"
            "\n"
            "Options:\n"
            "  --minutes N                 How long.\n"
            "  --seed S                    Luck.\n"
            "  --wait SECONDS              Before.\n"
            "  --with THING ...            A thing.\n"
            "  --hot                       Serve hot.\n"
            "  --form round|square         The form.\n");
}

TEST(CommandLineTest, NearestWordIsEmptyWhenNoneIsNear) {
  EXPECT_EQ(NearestWord("sumbit", {"submit", "verify"}), "submit");
  EXPECT_EQ(NearestWord("xyz", {"submit", "verify"}), "");
}

TEST(CommandLineTest, ALastPositionalThatRepeatsTakesTheRest) {
  const CommandSyntax syntax = {
      .name = "compare", .summary = "", .positionals = {"MODEL", "SPEC"}, .last_repeats = true};
  const auto arguments = ParseArguments(syntax, std::vector<std::string>{"m", "a", "b", "c"});
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->positionals(), 4U);
  EXPECT_EQ(arguments->Positional(3), "c");
  EXPECT_EQ(ParseArguments(syntax, std::vector<std::string>{"m"}).status().message(),
            "SPEC is missing; usage: tern compare MODEL SPEC... [options]");
}

}  // namespace
}  // namespace tern
