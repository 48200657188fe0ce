#ifndef TERN_CHECKPOINT_TEXT_EVALUATION_H_
#define TERN_CHECKPOINT_TEXT_EVALUATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/text/token_windows.h"
#include "checkpoint/tokenizer/tokenizer.h"

namespace tern {

// What to measure perplexity on.
struct EvaluationSpec {
  std::vector<std::string> files;    // text, JSONL, or one safetensors file with input_ids
  std::string text_field = "text";   // of JSONL files
  int64_t length = 0;                // tokens in a window, at least 2
  int64_t max_windows = 0;           // windows from the start; 0: all that fit
  int64_t vocab_size = 0;            // rows of the model's embedding
  std::optional<int32_t> separator;  // id between JSONL documents: the model's EOS, if it has one
};

// The tokens of the text (as SampleCalibration lays them out) from the start, cut into consecutive
// windows that do not overlap; what is left at the end is dropped. A safetensors file's windows are
// taken as they are and must have `length` tokens.
//
// INVALID_ARGUMENT: as SampleCalibration, and when there are fewer windows than asked for (the
// error says how many there are) or none.
absl::StatusOr<TokenWindows> EvaluationWindows(const EvaluationSpec& spec,
                                               const Tokenizer* tokenizer);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TEXT_EVALUATION_H_
