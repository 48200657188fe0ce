#include "checkpoint/text/evaluation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/token_stream.h"

namespace tern {

absl::StatusOr<TokenWindows> EvaluationWindows(const EvaluationSpec& spec,
                                               const Tokenizer* tokenizer) {
  if (spec.length < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("evaluation length is ", spec.length, "; a window needs at least 2 tokens"));
  }
  if (spec.max_windows < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("evaluation windows is ", spec.max_windows, "; it must not be negative"));
  }
  const TokenSource source{spec.files, spec.text_field, spec.vocab_size, spec.separator};
  TERN_ASSIGN_OR_RETURN(std::optional<TokenWindows> from_file,
                        WindowsFromFile(source, spec.length));
  if (from_file) {
    if (spec.max_windows > 0) {
      TERN_RETURN_IF_ERROR(KeepFirst(spec.max_windows, spec.files[0], *from_file));
    }
    return *std::move(from_file);
  }

  TERN_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, TokenizeDocuments(source, tokenizer));
  const auto total = static_cast<int64_t>(tokens.size());
  const int64_t available = total / spec.length;
  if (available < std::max<int64_t>(spec.max_windows, 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "too little evaluation text: its ", total, " tokens make ", available, " windows of ",
        spec.length, ", not ", std::max<int64_t>(spec.max_windows, 1)));
  }
  TokenWindows windows;
  windows.windows = spec.max_windows == 0 ? available : spec.max_windows;
  windows.length = spec.length;
  tokens.resize(static_cast<size_t>(windows.windows * windows.length));
  windows.ids = std::move(tokens);
  TERN_RETURN_IF_ERROR(CheckVocabulary(windows, spec.vocab_size));
  return windows;
}

}  // namespace tern
