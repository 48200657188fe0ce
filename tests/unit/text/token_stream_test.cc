#include "checkpoint/text/token_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/unit/text/fake_tokenizer.h"
#include "tests/unit/text/text_files.h"

namespace tern {
namespace {

using testing::HasSubstr;

// Refuses texts longer than three bytes.
class ShortTokenizer : public FakeTokenizer {
 public:
  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const override {
    if (utf8.size() > 3) return absl::InvalidArgumentError("too long");
    return FakeTokenizer::Encode(utf8);
  }
};

// Knows how many texts are in work at most.
class CountingTokenizer : public FakeTokenizer {
 public:
  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const override {
    most_ = std::max(most_.load(), ++in_work_);
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    --in_work_;
    return FakeTokenizer::Encode(utf8);
  }
  int most() const { return most_; }

 private:
  mutable std::atomic<int> in_work_{0};
  mutable std::atomic<int> most_{0};
};

TEST(TokenizeDocumentsTest, ATextTheTokenizerRefusesIsNamedByFileAndLine) {
  const TempDir dir;
  const std::vector<std::string> files = {
      Put(dir, "a.jsonl", "{\"text\":\"abc\"}\n{\"text\":\"abcd\"}\n")};
  const auto tokens = TokenizeDocuments({files, "text", 256, std::nullopt},
                                        std::make_unique<ShortTokenizer>().get());
  EXPECT_EQ(tokens.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tokens.status().message()), HasSubstr("a.jsonl: line 2: too long"));
}

TEST(TokenizeDocumentsTest, OneTextIsInWorkAtATime) {
  const TempDir dir;
  const std::vector<std::string> files = {Put(dir, "a.txt", "abc")};
  const CountingTokenizer tokenizer;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      EXPECT_TRUE(TokenizeDocuments({files, "text", 256, std::nullopt}, &tokenizer).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tokenizer.most(), 1);
}

}  // namespace
}  // namespace tern
