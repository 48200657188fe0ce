#ifndef TERN_CHECKPOINT_TEXT_TOKEN_WINDOWS_H_
#define TERN_CHECKPOINT_TEXT_TOKEN_WINDOWS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tern {

// Token ids of `windows` windows of `length` tokens each, row-major: ids.size() = windows × length.
struct TokenWindows {
  std::vector<int32_t> ids;
  int64_t windows = 0;
  int64_t length = 0;

  std::span<const int32_t> Window(int64_t i) const {
    return std::span<const int32_t>(ids).subspan(i * length, length);
  }
};

// SHA-256 (lower-case hex) over the ids as little-endian int32, in row-major order.
std::string WindowsDigest(const TokenWindows& windows);

// INVALID_ARGUMENT naming window, position and id when an id is outside [0, vocab_size).
// `vocab_size` is the number of rows of the model's embedding.
absl::Status CheckVocabulary(const TokenWindows& windows, int64_t vocab_size);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TEXT_TOKEN_WINDOWS_H_
