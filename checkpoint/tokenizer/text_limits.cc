#include "checkpoint/tokenizer/text_limits.h"

#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {

absl::Status CheckText(absl::string_view text) {
  constexpr size_t kMaxTextBytes = 256 << 20;
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("text of ", text.size(), " bytes; at most ", kMaxTextBytes));
  }
  if (const std::optional<size_t> at = FindInvalidUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat("text is not UTF-8 at byte ", *at));
  }
  return absl::OkStatus();
}

}  // namespace tern
