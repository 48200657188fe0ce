#ifndef TERN_CHECKPOINT_TEXT_CALIBRATION_H_
#define TERN_CHECKPOINT_TEXT_CALIBRATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/text/token_windows.h"
#include "checkpoint/tokenizer/tokenizer.h"

namespace tern {

// What to calibrate on.
struct CalibrationSpec {
  std::vector<std::string> files;    // text, JSONL, or one safetensors file with input_ids
  std::string text_field = "text";   // of JSONL files
  int64_t samples = 0;               // windows
  int64_t length = 0;                // tokens in a window
  uint64_t seed = 0;                 // of the choice of windows
  int64_t vocab_size = 0;            // rows of the model's embedding
  std::optional<int32_t> separator;  // id between JSONL documents: the model's EOS, if it has one
};

// The calibration windows of a spec; a function of the spec and the files' contents alone.
//
// Text: documents are tokenized one by one and laid end to end, the separator after every JSONL
// document that another one follows. The tokens are cut into aligned slots of `length` tokens, and
// a seeded shuffle draws `samples` of them without repetition, so windows never overlap; the first
// k windows are the same for every `samples` >= k.
// Safetensors: the windows as they are; `samples` 0 takes all of them and k the first k; `length`
// is 0 or that of the file.
//
// INVALID_ARGUMENT: as ReadDocuments and ReadTokenIds; too little text (with the tokens there are
// and those needed); samples or length out of range; an id outside [0, vocab_size), or a tokenizer
// with more ids than the embedding has rows. `tokenizer` may be null when the file holds ids.
absl::StatusOr<TokenWindows> SampleCalibration(const CalibrationSpec& spec,
                                               const Tokenizer* tokenizer);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TEXT_CALIBRATION_H_
