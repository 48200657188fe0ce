#ifndef TERN_CHECKPOINT_TOKENIZER_TOKENIZER_JSON_H_
#define TERN_CHECKPOINT_TOKENIZER_TOKENIZER_JSON_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/tokenizer.h"

namespace tern {

// The tokenizer that the text of a tokenizer.json describes: byte-pair encoding with the
// normalizers, pre-tokenizers and added tokens of Normalizer, PreTokenizer and AddedToken.
// "post_processor", "decoder", "truncation" and "padding" do not take part in plain encoding and
// are not looked at. INVALID_ARGUMENT names the component that is malformed or not supported. The
// text is hostile: its size, nesting and counts are capped.
absl::StatusOr<std::unique_ptr<Tokenizer>> ParseTokenizerJson(absl::string_view json);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_TOKENIZER_JSON_H_
