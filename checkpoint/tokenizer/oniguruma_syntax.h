#ifndef TERN_CHECKPOINT_TOKENIZER_ONIGURUMA_SYNTAX_H_
#define TERN_CHECKPOINT_TOKENIZER_ONIGURUMA_SYNTAX_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Hugging Face tokenizers match with Oniguruma, in its Ruby syntax; this library matches with
// PCRE2. Rewrites what the two read differently (\s, \w, \b, \h, \v, \p{Script}, (?m)), and refuses
// with INVALID_ARGUMENT, naming the construct and its place, what has no short equivalent (nested
// and intersected character classes, \K, absence operators, {n,m}+, named groups, ...), so that no
// pattern silently means something else. Patterns of published models (GPT-2, Llama 3, Qwen,
// DeepSeek, Mistral, ...) pass almost unchanged.
//
// What remains: a character of a Unicode version newer than PCRE2's own, and multi-character case
// folding ("ss" for "ß" under (?i)).
absl::StatusOr<std::string> OnigurumaToPcre2(absl::string_view pattern);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_ONIGURUMA_SYNTAX_H_
