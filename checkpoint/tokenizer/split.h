#ifndef TERN_CHECKPOINT_TOKENIZER_SPLIT_H_
#define TERN_CHECKPOINT_TOKENIZER_SPLIT_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/regex.h"

namespace tern {

// Receives the pieces of a text in order, none of them empty. `at_start`: the piece begins where
// the whole text does.
using PieceSink = absl::FunctionRef<absl::Status(absl::string_view piece, bool at_start)>;

// What becomes of the delimiters a text is split at; the names are those of tokenizer.json.
enum class DelimiterBehavior {
  kIsolated,            // a piece of their own
  kRemoved,             // dropped
  kMergedWithPrevious,  // the end of the piece before
  kMergedWithNext,      // the start of the piece after
  kContiguous,          // a piece of their own together with the delimiters next to them
};

// How to split: delimiters are the pattern's matches or, inverted, what lies between them.
struct SplitRule {
  Regex pattern;
  DelimiterBehavior behavior = DelimiterBehavior::kIsolated;
  bool invert = false;
};

// Hands the pieces of `text` to `sink`, and returns its first error or the pattern's.
absl::Status SplitText(const SplitRule& rule, absl::string_view text, bool at_start,
                       RegexScratch& scratch, PieceSink sink);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_SPLIT_H_
