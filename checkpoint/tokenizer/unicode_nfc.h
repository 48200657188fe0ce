#ifndef TERN_CHECKPOINT_TOKENIZER_UNICODE_NFC_H_
#define TERN_CHECKPOINT_TOKENIZER_UNICODE_NFC_H_

#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// Unicode normalization form C of well-formed UTF-8. O(n log n) for any input.
std::string ToNfc(absl::string_view text);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_UNICODE_NFC_H_
