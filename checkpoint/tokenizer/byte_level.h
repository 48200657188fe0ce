#ifndef TERN_CHECKPOINT_TOKENIZER_BYTE_LEVEL_H_
#define TERN_CHECKPOINT_TOKENIZER_BYTE_LEVEL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// GPT-2's spelling of bytes as visible characters: printable Latin-1 is itself, the other bytes are
// U+0100, U+0101, ... in order (so a space is "Ġ"). Appends that of each byte of `bytes`.
void AppendByteLevel(absl::string_view bytes, std::string& text);

// GPT-2's pattern of words, in Oniguruma's syntax.
inline constexpr char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_BYTE_LEVEL_H_
