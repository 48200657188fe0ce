#ifndef TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_CHECK_H_
#define TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_CHECK_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tern {

// What libsentencepiece trusts in a model file, and a hostile one could use to make it read outside
// of its memory or abort: the double array of the normalization rules and the offsets in it, pieces
// with a NUL or malformed UTF-8, scores that are not finite, absurd numbers of pieces. `model` is a
// serialized ModelProto. INVALID_ARGUMENT says what is wrong.
absl::Status CheckSentencePieceModel(absl::string_view model);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_SENTENCEPIECE_CHECK_H_
