#include "checkpoint/tokenizer/oniguruma_syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/tokenizer/regex.h"

namespace tern {
namespace {

using testing::HasSubstr;

TEST(OnigurumaSyntaxTest, PatternsOfPublishedModelsKeepTheirShape) {
  EXPECT_EQ(
      *OnigurumaToPcre2(R"((?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S))"),
      R"((?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\p{White_Space}+(?!\P{White_Space}))");
}

TEST(OnigurumaSyntaxTest, EscapesThatDifferAreRewritten) {
  EXPECT_EQ(*OnigurumaToPcre2(R"(\d\D[\d])"), R"(\p{Nd}\P{Nd}[\p{Nd}])");
  EXPECT_EQ(*OnigurumaToPcre2(R"(\h[\h]\v\u00e9)"), R"([0-9a-fA-F][0-9a-fA-F]\x0b\x{00e9})");
  EXPECT_EQ(*OnigurumaToPcre2(R"(\p{Han}\P{^Greek})"), R"(\p{sc:Han}\P{^sc:Greek})");
  EXPECT_EQ(*OnigurumaToPcre2("(?m:.)(?-i:a)"), "(?s:.)(?-i:a)");
}

TEST(OnigurumaSyntaxTest, WhatHasNoShortEquivalentIsRefusedWithItsPlace) {
  for (const char* pattern :
       {"a[b[c]]",  "[a&&b]",     "[]a]",     "[[:alpha:]]", R"(a\Kb)",  R"(\X)",
        R"(\G)",    R"(\C)",      R"(\Qa\E)", R"(\k<a>)",    R"(\g<a>)", R"([\W])",
        R"([\H])",  R"(\x80)",    R"(\xZZ)",  R"(\u12)",     R"(\pL)",   R"(\p{NoSuch})",
        R"(\p{L)",  "(?<name>a)", "(?P<n>a)", "(?~a)",       "(?R)",     "(?#c)",
        "(?x:a b)", "a(?i)b|c",   "(*UCP)a",  "(*COMMIT)",   "a{1,2}+",  "a{,3}",
        "a{3}?",    "[a",         "a\\",      "[a\\",        "(?"}) {
    const auto translated = OnigurumaToPcre2(pattern);
    ASSERT_FALSE(translated.ok()) << pattern << " became " << *translated;
    EXPECT_THAT(std::string(translated.status().message()), HasSubstr("is not supported"));
    EXPECT_THAT(std::string(translated.status().message()), HasSubstr("at byte"));
  }
}

TEST(RegexTest, AHostilePatternEndsInAnError) {
  const auto regex = Regex::Compile("(a*)*b|(?:a|a)*c");
  ASSERT_TRUE(regex.ok()) << regex.status();
  const std::string text(5000, 'a');
  RegexScratch scratch(text.size());
  absl::Status status;
  RegexMatches matches(*regex, text, scratch);
  while (true) {
    const auto match = matches.Next();
    status = match.status();
    if (!status.ok() || !*match) break;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(RegexTest, AnEmptyMatchRightAfterAMatchIsSkipped) {
  const auto regex = Regex::Compile("a|");
  RegexScratch scratch(3);
  RegexMatches matches(*regex, "baé", scratch);
  std::vector<std::pair<size_t, size_t>> found;
  while (true) {
    const auto match = matches.Next();
    ASSERT_TRUE(match.ok());
    if (!*match) break;
    found.emplace_back((*match)->begin, (*match)->end);
  }
  EXPECT_THAT(found, testing::ElementsAre(std::pair(0, 0), std::pair(1, 2), std::pair(4, 4)));
}

}  // namespace
}  // namespace tern
