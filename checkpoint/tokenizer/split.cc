#include "checkpoint/tokenizer/split.h"

#include <optional>

#include "checkpoint/status_macros.h"

namespace tern {
namespace {

struct Segment {
  size_t begin, end;
  bool is_delimiter;
};

// Joins delimiters and what lies between them into pieces. Segments come in order and adjoin.
class PieceJoiner {
 public:
  PieceJoiner(DelimiterBehavior behavior, absl::string_view text, bool at_start, PieceSink sink)
      : behavior_(behavior), text_(text), at_start_(at_start), sink_(sink) {}

  absl::Status Add(Segment segment) {
    switch (behavior_) {
      case DelimiterBehavior::kIsolated:
        return Emit(segment);
      case DelimiterBehavior::kRemoved:
        return segment.is_delimiter ? absl::OkStatus() : Emit(segment);
      case DelimiterBehavior::kMergedWithPrevious:
        if (pending_ && segment.is_delimiter && !pending_->is_delimiter) {
          // The next delimiter must not join as well.
          pending_ = Segment{pending_->begin, segment.end, true};
          return absl::OkStatus();
        }
        break;
      case DelimiterBehavior::kMergedWithNext:
        if (pending_ && pending_->is_delimiter && !segment.is_delimiter) {
          pending_->end = segment.end;
          pending_->is_delimiter = false;
          return absl::OkStatus();
        }
        break;
      case DelimiterBehavior::kContiguous:
        if (pending_ && pending_->is_delimiter == segment.is_delimiter) {
          pending_->end = segment.end;
          return absl::OkStatus();
        }
        break;
    }
    TERN_RETURN_IF_ERROR(Finish());
    pending_ = segment;
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (!pending_) return absl::OkStatus();
    const Segment segment = *pending_;
    pending_.reset();
    return Emit(segment);
  }

 private:
  absl::Status Emit(Segment segment) {
    if (segment.begin == segment.end) return absl::OkStatus();
    return sink_(text_.substr(segment.begin, segment.end - segment.begin),
                 at_start_ && segment.begin == 0);
  }

  const DelimiterBehavior behavior_;
  const absl::string_view text_;
  const bool at_start_;
  const PieceSink sink_;
  std::optional<Segment> pending_;
};

}  // namespace

absl::Status SplitText(const SplitRule& rule, absl::string_view text, bool at_start,
                       RegexScratch& scratch, PieceSink sink) {
  PieceJoiner joiner(rule.behavior, text, at_start, sink);
  RegexMatches matches(rule.pattern, text, scratch);
  size_t end = 0;
  while (true) {
    TERN_ASSIGN_OR_RETURN(const std::optional<RegexMatches::Range> match, matches.Next());
    if (!match) break;
    if (end != match->begin) TERN_RETURN_IF_ERROR(joiner.Add({end, match->begin, rule.invert}));
    TERN_RETURN_IF_ERROR(joiner.Add({match->begin, match->end, !rule.invert}));
    end = match->end;
  }
  if (end != text.size()) TERN_RETURN_IF_ERROR(joiner.Add({end, text.size(), rule.invert}));
  return joiner.Finish();
}

}  // namespace tern
