#include "checkpoint/bounded_utf8.h"

#include "absl/strings/str_cat.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";
constexpr absl::string_view kCutMark = "...";

}  // namespace

std::string BoundedUtf8(absl::string_view text, size_t max_bytes) {
  std::string bounded;
  size_t cut_at = 0;  // the longest start that leaves room for the mark
  while (!text.empty()) {
    absl::string_view character = text.substr(0, Utf8Length(text[0]));
    const bool valid = !FindInvalidUtf8(character).has_value();
    text.remove_prefix(valid ? character.size() : 1);
    if (!valid) character = kReplacement;
    if (bounded.size() + character.size() > max_bytes) {
      bounded.resize(cut_at);
      absl::StrAppend(&bounded, kCutMark);
      return bounded;
    }
    absl::StrAppend(&bounded, character);
    if (bounded.size() + kCutMark.size() <= max_bytes) cut_at = bounded.size();
  }
  return bounded;
}

}  // namespace tern
