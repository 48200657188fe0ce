// Ids and pieces against the reference implementations: what Hugging Face tokenizers and
// libsentencepiece gave, as tests/data/tokenizers/make.py and the shared folder recorded it.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/tokenizer/tokenizer.h"
#include "tests/unit/tokenizer/test_files.h"

namespace tern {
namespace {

class ReferenceTest : public testing::TestWithParam<const char*> {};

TEST_P(ReferenceTest, GivesTheReferenceIdsForTrickyTexts) {
  const std::string folder = DataPath(std::string("tokenizers/") + GetParam());
  const auto tokenizer = OpenTokenizer(folder);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto cases = nlohmann::json::parse(ReadWhole(folder + "/expected.json"));
  ASSERT_GT(cases.size(), 40u);
  for (const auto& expected : cases) {
    const auto ids = (*tokenizer)->Encode(expected["text"].get<std::string>());
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(nlohmann::json(*ids), expected["ids"]) << expected["text"];
    for (const int32_t id : *ids) EXPECT_LT(id, (*tokenizer)->vocab_size());
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, ReferenceTest,
                         testing::Values("deepseek", "gemma", "gpt2", "llama2-metaspace",
                                         "llama2-normalizer", "llama3", "qwen2", "unknown",
                                         "sentencepiece-bpe", "sentencepiece-unigram"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(ReferenceTokensTest, DemoLlamaGivesTheReferenceTokensOfSampledText) {
  const std::vector<int32_t> first = {173,  125, 123, 67,  86,  275, 313, 635, 200, 81,  265,
                                      1194, 285, 13,  407, 976, 476, 313, 603, 469, 277, 377,
                                      282,  289, 669, 339, 748, 294, 331, 276, 364, 1159};
  const auto tokenizer = OpenTokenizer(DataPath("demo-llama"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  auto ids = (*tokenizer)->Encode(ReadWhole(DataPath("sampled.txt")));
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(ids->size(), 213889u);
  ids->resize(first.size());
  EXPECT_EQ(*ids, first);
  EXPECT_EQ((*tokenizer)->vocab_size(), 2048);
}

TEST(ReferenceTokensTest, SharedModelsGiveTheReferenceTokensOfSharedTexts) {
  if (!HasShared("golden/fp-perplexity.json")) GTEST_SKIP() << "needs the shared folder: golden";
  const auto golden = nlohmann::json::parse(ReadWhole(SharedPath("golden/fp-perplexity.json")));
  for (const std::string model : {"demo-llama", "bench-llama"}) {
    const auto tokenizer = OpenTokenizer(SharedPath("models/" + model));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (const std::string text : {"eval", "sampled"}) {
      const auto& expected = golden[model + "/" + text];
      auto ids = (*tokenizer)->Encode(ReadWhole(SharedPath("data/" + text + ".txt")));
      ASSERT_TRUE(ids.ok()) << ids.status();
      EXPECT_EQ(static_cast<int64_t>(ids->size()), expected["total_tokens"].get<int64_t>());
      ids->resize(expected["first_ids"].size());
      EXPECT_EQ(nlohmann::json(*ids), expected["first_ids"]) << model << "/" << text;
    }
  }
}

}  // namespace
}  // namespace tern
