#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "checkpoint/tokenizer/sentencepiece_check.h"
#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"
#include "tests/unit/tokenizer/test_files.h"

namespace tern {
namespace {

using testing::HasSubstr;

std::string Field(int number, const std::string& bytes) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  for (size_t length = bytes.size(); true; length >>= 7) {
    const bool last = length < 0x80;
    field += static_cast<char>((length & 0x7F) | (last ? 0 : 0x80));
    if (last) break;
  }
  return field + bytes;
}

std::string Piece(const std::string& text, float score) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &score, sizeof(score));
  return Field(1, Field(1, text) + "\x15" + bytes);
}

// A model whose normalization rules are `units` of a double array and `replacements`.
std::string WithRules(const std::vector<uint32_t>& units, const std::string& replacements) {
  const auto array_bytes = static_cast<uint32_t>(units.size() * 4);
  std::string map(4 + array_bytes, '\0');
  std::memcpy(map.data(), &array_bytes, 4);
  if (!units.empty()) std::memcpy(map.data() + 4, units.data(), array_bytes);
  return Piece("a", 0) + Field(3, Field(2, map + replacements));
}

std::string Error(const std::string& model) {
  const absl::Status status = CheckSentencePieceModel(model);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(SentencePieceCheckTest, PiecesAreTextWithFiniteScores) {
  EXPECT_TRUE(CheckSentencePieceModel(Piece("a", -1.5f)).ok());
  EXPECT_EQ(Error(Piece("a\xFF", 0)), "piece 0 is not text");
  EXPECT_EQ(Error(Piece("a", 0) + Piece(std::string("a\0b", 3), 0)), "piece 1 is not text");
  EXPECT_EQ(Error(Piece("a", std::numeric_limits<float>::quiet_NaN())),
            "the score of piece 0 is not finite");
}

TEST(SentencePieceCheckTest, WhatIsNoModelIsRefused) {
  EXPECT_THAT(Error(""), HasSubstr("not a sentencepiece model"));
  EXPECT_THAT(Error("{\"model\": {}}"), HasSubstr("not a sentencepiece model"));
  EXPECT_THAT(Error(Piece("a", 0).substr(0, 5)), HasSubstr("not a sentencepiece model"));
}

TEST(SentencePieceCheckTest, RulesMustNotLeadOutOfTheirArrays) {
  std::vector<uint32_t> units(256, 0);
  const std::string replacements("x\0", 2);
  EXPECT_TRUE(CheckSentencePieceModel(WithRules(units, replacements)).ok());
  EXPECT_THAT(Error(WithRules(units, "x")), HasSubstr("not text"));
  EXPECT_THAT(Error(WithRules({}, replacements)), HasSubstr("double array"));

  units[7] = 1u << 20 << 10;  // an offset of 2^20
  EXPECT_THAT(Error(WithRules(units, replacements)), HasSubstr("out of the double array"));
  units[7] = 1u << 8;  // has a value, in unit 7
  EXPECT_THAT(Error(WithRules(units, replacements)), HasSubstr("out of the replacements"));
  EXPECT_THAT(Error(WithRules(std::vector<uint32_t>(8, 0), replacements)),
              HasSubstr("out of the double array"));
}

TEST(SentencePieceTokenizerTest, TheLibrarysReasonIsGiven) {
  const auto tokenizer = ParseSentencePieceModel(Piece("a", 0));  // no unknown piece
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("unk is not defined"));
}

TEST(SentencePieceTokenizerTest, ATextThatWouldTakeTooMuchMemoryIsRefusedWithTheWaysOut) {
  const auto tokenizer =
      ParseSentencePieceModel(ReadWhole(DataPath("tokenizers/sentencepiece-bpe/tokenizer.model")));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const absl::Status status = (*tokenizer)->Encode(std::string((2 << 20) + 1, 'a')).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2097153 bytes"));
  for (const char* way_out : {"JSONL", "input_ids", "tokenizer.json"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(way_out));
  }
}

TEST(SentencePieceTokenizerTest, AMegabyteIsTokenized) {
  std::string text;
  while (text.size() < 1 << 20) text += "It was a very fine day, and he went home. ";
  for (const char* name : {"sentencepiece-bpe", "sentencepiece-unigram"}) {
    const auto tokenizer = ParseSentencePieceModel(
        ReadWhole(DataPath(std::string("tokenizers/") + name + "/tokenizer.model")));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const auto ids = (*tokenizer)->Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_GT(ids->size(), 100'000u);
  }
}

}  // namespace
}  // namespace tern
