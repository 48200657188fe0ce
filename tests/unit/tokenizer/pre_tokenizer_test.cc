#include "checkpoint/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/tokenizer/test_files.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Pieces(const PreTokenizer& pre_tokenizer, const std::string& text,
                                bool at_start = true) {
  std::vector<std::string> pieces;
  RegexScratch scratch(text.size());
  const absl::Status status =
      pre_tokenizer.Apply(text, at_start, scratch, [&](absl::string_view piece, bool) {
        pieces.emplace_back(piece);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return pieces;
}

PreTokenizer Parse(const char* json) { return *PreTokenizer::Parse(nlohmann::json::parse(json)); }

absl::Status ParseError(const char* json) {
  return PreTokenizer::Parse(nlohmann::json::parse(json)).status();
}

TEST(PreTokenizerTest, EveryComponentCutsAsTheReferenceDoes) {
  const auto file = nlohmann::json::parse(ReadWhole(DataPath("tokenizers/pre_tokenizers.json")));
  ASSERT_GT(file["cases"].size(), 70u);
  for (const auto& test_case : file["cases"]) {
    const auto pre_tokenizer = PreTokenizer::Parse(test_case["component"]);
    ASSERT_TRUE(pre_tokenizer.ok()) << test_case["component"] << pre_tokenizer.status();
    for (size_t i = 0; i < file["texts"].size(); ++i) {
      EXPECT_EQ(nlohmann::json(Pieces(*pre_tokenizer, file["texts"][i])), test_case["results"][i])
          << test_case["component"] << " of " << file["texts"][i];
    }
  }
}

TEST(PreTokenizerTest, NullPassesTheTextOn) {
  EXPECT_THAT(Pieces(Parse("null"), "a b"), ElementsAre("a b"));
}

TEST(PreTokenizerTest, MetaspaceFirstPrependsOnlyAtTheStartOfTheText) {
  const PreTokenizer metaspace =
      Parse(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":false})");
  EXPECT_THAT(Pieces(metaspace, "a b"), ElementsAre("_a_b"));
  EXPECT_THAT(Pieces(metaspace, "a b", /*at_start=*/false), ElementsAre("a_b"));
}

TEST(PreTokenizerTest, RemovedTextBeforeAPieceMeansItIsNotAtTheStart) {
  const PreTokenizer sequence = Parse(
      R"({"type":"Sequence","pretokenizers":[
          {"type":"Split","pattern":{"String":"-"},"behavior":"Removed","invert":false},
          {"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":false}]})");
  EXPECT_THAT(Pieces(sequence, "a-b"), ElementsAre("_a", "b"));
  EXPECT_THAT(Pieces(sequence, "-a-b"), ElementsAre("a", "b"));
}

TEST(PreTokenizerTest, AnUnsupportedTypeIsNamedWithItsPlaceAndTheSupportedOnes) {
  const absl::Status status = ParseError(
      R"({"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"UnicodeScripts"}]})");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "pre_tokenizer[1] type \"UnicodeScripts\" is not supported; supported are ByteLevel, "
            "Digits, Metaspace, Sequence, Split, Whitespace");
}

TEST(PreTokenizerTest, MalformedComponentsAreRefused) {
  for (const char* json :
       {"7", "[]", "{}", R"({"type":3})", R"({"type":"ByteLevel"})",
        R"({"type":"ByteLevel","add_prefix_space":1})", R"({"type":"Sequence"})",
        R"({"type":"Sequence","pretokenizers":[null]})", R"({"type":"Digits"})",
        R"({"type":"Split","pattern":"x","behavior":"Isolated","invert":false})",
        R"({"type":"Split","pattern":{"Glob":"x"},"behavior":"Isolated","invert":false})",
        R"({"type":"Split","pattern":{"String":"x"},"behavior":"isolated","invert":false})",
        R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false})",
        R"({"type":"Metaspace","replacement":""})", R"({"type":"Metaspace","replacement":"ab"})",
        R"({"type":"Metaspace","replacement":"_","prepend_scheme":"last"})",
        R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first",
            "add_prefix_space":false})"}) {
    EXPECT_EQ(ParseError(json).code(), absl::StatusCode::kInvalidArgument) << json;
  }
}

TEST(PreTokenizerTest, DeepAndLongSequencesAreRefused) {
  nlohmann::json nested = {{"type", "Whitespace"}};
  for (int depth = 0; depth < 6; ++depth) {
    nested = {{"type", "Sequence"}, {"pretokenizers", nlohmann::json::array({nested})}};
  }
  EXPECT_THAT(std::string(PreTokenizer::Parse(nested).status().message()), HasSubstr("deep"));

  const std::vector<nlohmann::json> parts(8, {{"type", "Whitespace"}});
  const nlohmann::json eight = {{"type", "Sequence"}, {"pretokenizers", parts}};
  const nlohmann::json many = {{"type", "Sequence"},
                               {"pretokenizers", std::vector<nlohmann::json>(8, eight)}};
  EXPECT_THAT(std::string(PreTokenizer::Parse(many).status().message()),
              HasSubstr("more than 32 steps"));
}

}  // namespace
}  // namespace tern
