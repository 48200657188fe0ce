#ifndef TERN_CHECKPOINT_TOKENIZER_UTF8_H_
#define TERN_CHECKPOINT_TOKENIZER_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// Offset of the first byte that is not part of well-formed UTF-8 (surrogates, overlong forms and
// values past U+10FFFF are not); nullopt when all of `text` is.
std::optional<size_t> FindInvalidUtf8(absl::string_view text);

// The functions below take well-formed UTF-8.

// Bytes of the character that starts with `lead`.
inline size_t Utf8Length(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The code point at the start of `text`, which is not empty.
char32_t FirstCodePoint(absl::string_view text);

// Start of the last character of `text`, which is not empty.
size_t LastCharStart(absl::string_view text);

void AppendUtf8(char32_t code_point, std::string& text);

// Unicode's White_Space property.
bool IsWhiteSpace(char32_t code_point);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_UTF8_H_
