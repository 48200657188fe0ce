#include "checkpoint/tokenizer/normalizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/tokenizer/unicode_nfc.h"
#include "checkpoint/tokenizer/utf8.h"
#include "tests/unit/tokenizer/test_files.h"

namespace tern {
namespace {

using testing::HasSubstr;

TEST(NormalizerTest, EveryComponentRewritesAsTheReferenceDoes) {
  const auto file = nlohmann::json::parse(ReadWhole(DataPath("tokenizers/normalizers.json")));
  ASSERT_GE(file["cases"].size(), 7u);
  for (const auto& test_case : file["cases"]) {
    const auto normalizer = Normalizer::Parse(test_case["component"]);
    ASSERT_TRUE(normalizer.ok()) << test_case["component"] << normalizer.status();
    for (size_t i = 0; i < file["texts"].size(); ++i) {
      auto text = file["texts"][i].get<std::string>();
      RegexScratch scratch(text.size());
      ASSERT_TRUE(normalizer->Apply(text, scratch).ok());
      EXPECT_EQ(nlohmann::json(text), test_case["results"][i])
          << test_case["component"] << " of " << file["texts"][i];
    }
  }
}

TEST(NormalizerTest, AnUnsupportedTypeIsNamedWithTheSupportedOnes) {
  const absl::Status status = Normalizer::Parse({{"type", "Precompiled"}}).status();
  EXPECT_EQ(status.message(),
            "normalizer type \"Precompiled\" is not supported; supported are NFC, Prepend, "
            "Replace, Sequence");
}

TEST(NormalizerTest, TextThatGrowsWithoutBoundsIsRefused) {
  const nlohmann::json twice = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  const auto normalizer = Normalizer::Parse(
      {{"type", "Sequence"}, {"normalizers", std::vector<nlohmann::json>(32, twice)}});
  ASSERT_TRUE(normalizer.ok());
  std::string text = "aaaa";
  RegexScratch scratch(text.size());
  const absl::Status status = normalizer->Apply(text, scratch);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("grows"));
}

TEST(UnicodeNfcTest, AsciiBeforeAMarkComposesWithIt) {
  EXPECT_EQ(ToNfc("xe\u0301y"), "x\u00e9y");
  EXPECT_EQ(ToNfc("\u0301e\u0301"), "\u0301\u00e9");
}

TEST(UnicodeNfcTest, MarksAreOrderedByClass) {
  EXPECT_EQ(ToNfc("o\u0302\u0323"), "\u1ed9");
  EXPECT_EQ(ToNfc("q\u0307\u0323"), "q\u0323\u0307");
}

TEST(UnicodeNfcTest, HangulJamoCompose) { EXPECT_EQ(ToNfc("\u1112\u1161\u11ab"), "\ud55c"); }

TEST(UnicodeNfcTest, AMillionMarksAreSortedInReasonableTime) {
  // Exchange by exchange these would take 10^11 steps.
  std::string text = "a";
  for (int i = 0; i < 500'000; ++i) text += "\u0301\u0323";
  const std::string composed = ToNfc(text);
  EXPECT_EQ(composed.substr(0, 5), "\u1ea1\u0323");
  EXPECT_EQ(FindInvalidUtf8(composed), std::nullopt);
}

}  // namespace
}  // namespace tern
