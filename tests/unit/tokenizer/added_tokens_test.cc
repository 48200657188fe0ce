#include "checkpoint/tokenizer/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

AddedToken Token(const char* content, int32_t id) {
  AddedToken token;
  token.content = content;
  token.id = id;
  return token;
}

// The parts as "text" or "text=id".
std::vector<std::string> Split(std::vector<AddedToken> tokens, const std::string& text) {
  const auto finder = AddedTokenFinder::Create(std::move(tokens));
  EXPECT_TRUE(finder.ok()) << finder.status();
  std::vector<std::string> parts;
  RegexScratch scratch(text.size());
  const absl::Status status = finder->Split(
      text, scratch, [&](absl::string_view part, size_t offset, std::optional<int32_t> id) {
        EXPECT_EQ(text.substr(offset, part.size()), std::string(part));
        parts.push_back(id ? absl::StrCat(part, "=", *id) : std::string(part));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return parts;
}

nlohmann::json Entry(const char* content, int id) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

TEST(AddedTokensTest, TheLeftmostAndOfThoseTheLongestIsFound) {
  EXPECT_THAT(Split({Token("<a>", 1), Token("<a>b", 2), Token("a", 3)}, "x<a>ba<a>"),
              ElementsAre("x", "<a>b=2", "a=3", "<a>=1"));
}

TEST(AddedTokensTest, AnUnfinishedLongerTokenDoesNotHideAShorterOne) {
  EXPECT_THAT(Split({Token("ab", 1), Token("abcd", 2), Token("abce", 3)}, "abcabcdab"),
              ElementsAre("ab=1", "c", "abcd=2", "ab=1"));
}

TEST(AddedTokensTest, StrippingTakesWhiteSpaceAlong) {
  AddedToken token = Token("<m>", 1);
  token.lstrip = true;
  EXPECT_THAT(Split({token}, "a \n<m> b"), ElementsAre("a", " \n<m>=1", " b"));
  token.rstrip = true;
  EXPECT_THAT(Split({token}, "a <m>\u3000 <m>b"), ElementsAre("a", " <m>\u3000 =1", "<m>=1", "b"));
}

TEST(AddedTokensTest, ASingleWordIsNotFoundInsideAnother) {
  AddedToken token = Token("word", 1);
  token.single_word = true;
  EXPECT_THAT(Split({token}, "word sword words éword word_ word"),
              ElementsAre("word=1", " sword words éword word_ ", "word=1"));
}

TEST(AddedTokensTest, WithoutTokensTheTextIsOnePart) {
  EXPECT_THAT(Split({}, "text"), ElementsAre("text"));
  EXPECT_THAT(Split({Token("a", 1)}, ""), ElementsAre());
}

TEST(AddedTokensTest, IdsAreThoseOfTheVocabularyOrTheNextPastIt) {
  const auto tokens = ParseAddedTokens(
      nlohmann::json::array({Entry("<s>", 7), Entry("new", 99), Entry("newer", 98)}),
      {{"a", 0}, {"<s>", 1}});
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  ASSERT_EQ(tokens->size(), 3u);
  EXPECT_EQ((*tokens)[0].id, 1);
  EXPECT_EQ((*tokens)[1].id, 2);
  EXPECT_EQ((*tokens)[2].content, "newer");
  EXPECT_EQ((*tokens)[2].id, 3);
}

TEST(AddedTokensTest, ANormalizedTokenIsLookedForAsItsNormalForm) {
  nlohmann::json entry = Entry("cafe\u0301", 1);
  entry["normalized"] = true;
  const auto normalizer = Normalizer::Parse({{"type", "NFC"}});
  const auto tokens = LoadAddedTokens(nlohmann::json::array({entry}), {{"a", 0}}, *normalizer);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  RegexScratch scratch(8);
  std::vector<int32_t> ids;
  ASSERT_TRUE(tokens->normalized
                  .Split("caf\u00e9", scratch,
                         [&](absl::string_view, size_t, std::optional<int32_t> id) {
                           ids.push_back(id.value_or(-1));
                           return absl::OkStatus();
                         })
                  .ok());
  EXPECT_THAT(ids, ElementsAre(1));
  EXPECT_EQ(tokens->vocab_size, 2);
}

TEST(AddedTokensTest, MalformedEntriesAreNamed) {
  nlohmann::json entry = Entry("x", 1);
  entry.erase("lstrip");
  const auto status = ParseAddedTokens(nlohmann::json::array({Entry("a", 0), entry}), {}).status();
  EXPECT_EQ(status.message(), "added_tokens[1]: field \"lstrip\" is missing");
  EXPECT_FALSE(ParseAddedTokens(nlohmann::json::object(), {}).ok());
  EXPECT_FALSE(ParseAddedTokens(nlohmann::json::array({3}), {}).ok());
  const std::string longest(513, 'x');
  EXPECT_THAT(std::string(ParseAddedTokens(nlohmann::json::array({Entry(longest.c_str(), 1)}), {})
                              .status()
                              .message()),
              HasSubstr("at most 512"));
}

}  // namespace
}  // namespace tern
