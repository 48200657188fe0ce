#ifndef TERN_CHECKPOINT_TOKENIZER_TEXT_LIMITS_H_
#define TERN_CHECKPOINT_TOKENIZER_TEXT_LIMITS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tern {

// What every tokenizer wants of a text: INVALID_ARGUMENT when it is larger than 256 MiB or not
// UTF-8 (names the byte).
absl::Status CheckText(absl::string_view text);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_TEXT_LIMITS_H_
