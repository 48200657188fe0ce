#ifndef TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_TOKENIZER_H_
#define TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_TOKENIZER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/tokenizer.h"

namespace tern {

// The tokenizer that the bytes of a tokenizer.model describe, through libsentencepiece.
// INVALID_ARGUMENT when CheckSentencePieceModel or the library refuses them.
absl::StatusOr<std::unique_ptr<Tokenizer>> ParseSentencePieceModel(absl::string_view model);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_TOKENIZER_H_
