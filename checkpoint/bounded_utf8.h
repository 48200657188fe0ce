#ifndef TERN_CHECKPOINT_BOUNDED_UTF8_H_
#define TERN_CHECKPOINT_BOUNDED_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// `text` as a message may carry it: U+FFFD in place of each byte that is not part of well-formed
// UTF-8, and when that is longer than `max_bytes`, which is at least 3, cut before a character and
// ended with "...". Protobuf's parsers refuse strings that are not UTF-8.
std::string BoundedUtf8(absl::string_view text, size_t max_bytes);

}  // namespace tern

#endif  // TERN_CHECKPOINT_BOUNDED_UTF8_H_
