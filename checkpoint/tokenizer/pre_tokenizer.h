#ifndef TERN_CHECKPOINT_TOKENIZER_PRE_TOKENIZER_H_
#define TERN_CHECKPOINT_TOKENIZER_PRE_TOKENIZER_H_

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/regex.h"
#include "checkpoint/tokenizer/split.h"

namespace tern {

// One step of tokenizer.json's "pre_tokenizer". Thread-safe.
class PreTokenizerStep {
 public:
  virtual ~PreTokenizerStep() = default;

  // Splits and rewrites a piece, and hands on what comes out. A piece is well-formed UTF-8.
  virtual absl::Status Apply(absl::string_view piece, bool at_start, RegexScratch& scratch,
                             PieceSink sink) const = 0;
};

// The "pre_tokenizer" of tokenizer.json, which cuts text into the words that BPE merges inside of:
// null, ByteLevel, Split, Metaspace, Digits, Whitespace, and Sequences of them. Pieces stream
// through the steps one by one, so memory does not grow with their number. Thread-safe.
class PreTokenizer {
 public:
  // INVALID_ARGUMENT names the component that is malformed or not supported.
  static absl::StatusOr<PreTokenizer> Parse(const nlohmann::json& component);

  // Hands the words of `text` to `sink`; they live until it returns.
  absl::Status Apply(absl::string_view text, bool at_start, RegexScratch& scratch,
                     PieceSink sink) const;

 private:
  absl::Status ApplyFrom(size_t step, absl::string_view piece, bool at_start, RegexScratch& scratch,
                         PieceSink sink) const;

  std::vector<std::unique_ptr<PreTokenizerStep>> steps_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_PRE_TOKENIZER_H_
