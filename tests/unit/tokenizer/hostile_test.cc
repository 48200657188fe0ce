// Thousands of damaged files and texts: each must give a status, never a crash or a hang.

#include <gtest/gtest.h>

#include <random>

#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_json.h"
#include "tests/unit/tokenizer/test_files.h"

namespace tern {
namespace {

// A few bytes overwritten, removed, doubled or swapped, the same for the same generator.
std::string Damaged(std::string bytes, std::mt19937& random) {
  static constexpr absl::string_view kLikely = "{}[]\",:\\0123456789.-+eEtfn()*+?|^$ \xFF\x80\xC3";
  const int changes = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < changes && !bytes.empty(); ++i) {
    const size_t at = random() % bytes.size();
    const size_t length = 1 + random() % 16;
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = kLikely[random() % kLikely.size()];
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random() % bytes.size(), length));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    }
  }
  return bytes;
}

// Every component there is, in a file of a kilobyte, so that damage hits structure and patterns.
constexpr char kSmall[] = R"json({"version":"1.0","added_tokens":[{"id":9,"content":"<s>",
"single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":true},
{"id":10,"content":"ab c","single_word":true,"lstrip":false,"rstrip":false,"normalized":true,
"special":false}],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},
{"type":"Replace","pattern":{"Regex":"a+(?!b)|\\s{2,3}"},"content":"_a"},
{"type":"Prepend","prepend":"_"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
{"type":"Split","pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+"},
"behavior":"MergedWithPrevious","invert":false},{"type":"Digits","individual_digits":true},
{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true},
{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}]},"model":{"type":"BPE",
"unk_token":"?","fuse_unk":true,"byte_fallback":true,"ignore_merges":true,"vocab":{"a":0,"b":1,
"_":2,"?":3,"ab":4,"_a":5,"<0xC3>":6,"_ab":7},"merges":["a b",["_","a"],"_a b"]}})json";

constexpr char kText[] =
    "ab c abba  aab's 1234 <s> \u00e9e\u0301\u65e5\u672c \U0001f600\r\n\tAB _ a_b ab c";

TEST(HostileTokenizerJsonTest, DamagedFilesGiveAStatus) {
  ASSERT_TRUE(ParseTokenizerJson(kSmall).ok()) << ParseTokenizerJson(kSmall).status();
  std::mt19937 random(1);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto tokenizer = ParseTokenizerJson(Damaged(kSmall, random));
    if (!tokenizer.ok()) {
      ASSERT_FALSE(tokenizer.status().message().empty());
      continue;
    }
    ++accepted;
    const auto ids = (*tokenizer)->Encode(kText);
    if (!ids.ok()) continue;
    for (const int32_t id : *ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, (*tokenizer)->vocab_size());
    }
  }
  // Damage to names and contents is harmless: both sides of the line are exercised.
  EXPECT_GT(accepted, 500);
  EXPECT_LT(accepted, 19'500);
}

TEST(HostileTokenizerJsonTest, DamagedTextsGiveAStatus) {
  for (const char* name : {"llama3", "qwen2", "gemma", "llama2-metaspace", "unknown"}) {
    const auto tokenizer = ParseTokenizerJson(
        ReadWhole(DataPath(std::string("tokenizers/") + name + "/tokenizer.json")));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    std::mt19937 random(2);
    for (int i = 0; i < 2000; ++i) {
      const auto ids = (*tokenizer)->Encode(Damaged(kText, random));
      ASSERT_TRUE(ids.ok() || ids.status().code() == absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(HostileSentencePieceTest, DamagedModelsGiveAStatus) {
  for (const char* name : {"sentencepiece-bpe", "sentencepiece-unigram"}) {
    const std::string valid =
        ReadWhole(DataPath(std::string("tokenizers/") + name + "/tokenizer.model"));
    std::mt19937 random(3);
    for (int i = 0; i < 2000; ++i) {
      const auto tokenizer = ParseSentencePieceModel(Damaged(valid, random));
      if (tokenizer.ok()) (*tokenizer)->Encode(kText).IgnoreError();
    }
  }
}

}  // namespace
}  // namespace tern
