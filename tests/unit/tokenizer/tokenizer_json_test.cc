#include "checkpoint/tokenizer/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/temp_dir.h"
#include "tests/unit/tokenizer/test_files.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

nlohmann::json Small() {
  return nlohmann::json::parse(R"({
    "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
    "post_processor": {"type": "Anything"}, "decoder": {"type": "Anything"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 5}, "merges": ["a b"]}})");
}

std::string Error(const nlohmann::json& json) {
  const auto tokenizer = ParseTokenizerJson(json.dump());
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(tokenizer.status().message());
}

TEST(TokenizerJsonTest, MergesAreStringsOrPairs) {
  nlohmann::json json = Small();
  EXPECT_THAT(*(*ParseTokenizerJson(json.dump()))->Encode("abb"), ElementsAre(5, 1));
  json["model"]["merges"] = nlohmann::json::parse(R"([["a", "b"]])");
  EXPECT_THAT(*(*ParseTokenizerJson(json.dump()))->Encode("abb"), ElementsAre(5, 1));
}

TEST(TokenizerJsonTest, VocabSizeIsTheLargestIdPlusOne) {
  EXPECT_EQ((*ParseTokenizerJson(Small().dump()))->vocab_size(), 6);
}

TEST(TokenizerJsonTest, TextThatIsNotUtf8IsRefusedWithItsPlace) {
  const auto ids = (*ParseTokenizerJson(Small().dump()))->Encode("ab\xFF");
  EXPECT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ids.status().message(), "text is not UTF-8 at byte 2");
}

TEST(TokenizerJsonTest, ErrorsNameTheComponent) {
  nlohmann::json json = Small();
  json["model"]["type"] = "WordPiece";
  EXPECT_THAT(Error(json), HasSubstr("model type \"WordPiece\" is not supported"));
  json["model"] =
      nlohmann::json::parse(R"({"type": "Unigram", "vocab": [["a", -1.5], ["b", -2.0]]})");
  EXPECT_THAT(Error(json), HasSubstr("model type \"Unigram\" is not supported"));

  json = Small();
  json["model"]["dropout"] = 0.1;
  EXPECT_THAT(Error(json), HasSubstr("dropout"));
  json = Small();
  json["model"]["end_of_word_suffix"] = "</w>";
  EXPECT_THAT(Error(json), HasSubstr("end_of_word_suffix"));
  json = Small();
  json["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(Error(json), HasSubstr("normalizer type \"Lowercase\""));
  json = Small();
  json["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  EXPECT_THAT(Error(json), HasSubstr("pre_tokenizer type \"BertPreTokenizer\""));
  json = Small();
  json["model"]["fuse_unk"] = "yes";
  EXPECT_THAT(Error(json), HasSubstr("fuse_unk"));
}

TEST(TokenizerJsonTest, MalformedVocabulariesAndMergesAreRefused) {
  for (const char* id : {"-1", "1.5", "2147483647", "\"0\"", "null", "[]", "{}", "1e99"}) {
    nlohmann::json json = Small();
    std::string text = json.dump();
    text.replace(text.find("\"ab\":5"), 6, std::string("\"ab\":") + id);
    EXPECT_EQ(ParseTokenizerJson(text).status().code(), absl::StatusCode::kInvalidArgument) << id;
  }
  for (const char* merges :
       {R"("a b")", R"({"a":"b"})", R"(["ab"])", R"(["a b c"])", R"([["a"]])", R"([["a","b","c"]])",
        R"([[["a"]]])", R"([{"a":"b"}])", R"([3])", R"(["a c"])", R"([" a"])", R"([["a",3]])"}) {
    nlohmann::json json = Small();
    json["model"]["merges"] = nlohmann::json::parse(merges);
    EXPECT_THAT(Error(json), HasSubstr("merges")) << merges;
  }
  nlohmann::json json = Small();
  json["model"].erase("merges");
  EXPECT_THAT(Error(json), HasSubstr("merges"));
  json = Small();
  json["model"].erase("vocab");
  EXPECT_THAT(Error(json), HasSubstr("vocab"));
  json.erase("model");
  EXPECT_THAT(Error(json), HasSubstr("model"));
  EXPECT_THAT(Error(nlohmann::json::array()), HasSubstr("not a JSON object"));
}

TEST(TokenizerJsonTest, WhatIsNotJsonIsRefusedWithItsPlace) {
  const auto status = ParseTokenizerJson(R"({"model": })").status();
  EXPECT_EQ(status.message(), "not valid JSON at byte 11");
  EXPECT_FALSE(ParseTokenizerJson("").ok());
}

TEST(TokenizerJsonTest, DeepNestingAndEndlessListsAreRefused) {
  EXPECT_EQ(ParseTokenizerJson(std::string(1 << 20, '[')).status().message(), "nested too deep");
  std::string text = R"({"x":[0)";
  for (int i = 0; i < 1'000'001; ++i) text += ",0";
  EXPECT_EQ(ParseTokenizerJson(text + "]}").status().message(), "too many values");
}

TEST(OpenTokenizerTest, ErrorsBeginWithTheFile) {
  const TempDir dir;
  WriteWhole(dir.File("tokenizer.json"), "{}");
  const auto tokenizer = OpenTokenizer(dir.path());
  EXPECT_EQ(tokenizer.status().message(), dir.File("tokenizer.json") + ": model is missing");
}

TEST(OpenTokenizerTest, AFolderWithoutATokenizerIsNotFound) {
  const TempDir dir;
  const auto tokenizer = OpenTokenizer(dir.path());
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(tokenizer.status().message()),
              HasSubstr("neither tokenizer.json nor tokenizer.model"));
}

TEST(OpenTokenizerTest, TokenizerJsonComesBeforeTokenizerModel) {
  const TempDir dir;
  WriteWhole(dir.File("tokenizer.json"), Small().dump());
  WriteWhole(dir.File("tokenizer.model"), "not a model");
  const auto tokenizer = OpenTokenizer(dir.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), 6);
}

}  // namespace
}  // namespace tern
