#ifndef TERN_TESTS_UNIT_TEXT_FAKE_TOKENIZER_H_
#define TERN_TESTS_UNIT_TEXT_FAKE_TOKENIZER_H_

#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"

namespace tern {

// Every byte is its own token: positions in the text are positions in the tokens.
class FakeTokenizer : public Tokenizer {
 public:
  explicit FakeTokenizer(int64_t vocab_size = 256) : vocab_size_(vocab_size) {}

  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const override {
    std::vector<int32_t> ids;
    for (const char c : utf8) ids.push_back(static_cast<uint8_t>(c));
    return ids;
  }
  int64_t vocab_size() const override { return vocab_size_; }

 private:
  int64_t vocab_size_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_TEXT_FAKE_TOKENIZER_H_
