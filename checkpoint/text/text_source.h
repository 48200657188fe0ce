#ifndef TERN_CHECKPOINT_TEXT_TEXT_SOURCE_H_
#define TERN_CHECKPOINT_TEXT_TEXT_SOURCE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/text/token_windows.h"

namespace tern {

// The files of one calibration or evaluation text may hold this many bytes together.
inline constexpr int64_t kMaxTextBytes = int64_t{64} << 20;
// One line of a .jsonl file: parsed, a hostile one takes a dozen times its size.
inline constexpr size_t kMaxLineBytes = size_t{8} << 20;
inline constexpr size_t kMaxDocuments = size_t{1} << 20;

// A piece of text that is tokenized on its own.
struct TextDocument {
  std::string text;  // valid UTF-8, not empty
  size_t file = 0;   // its number among the files
  int64_t line = 0;  // of a .jsonl file, from 1; 0: the whole file
};

// True for files that hold token ids instead of text (.safetensors).
bool HoldsTokenIds(absl::string_view path);

// Reads all documents in order: a .jsonl file is one JSON object a line, whose string field
// `text_field` is a document (blank lines and empty texts are skipped); any other file is one
// document of UTF-8 text (a leading byte order mark is dropped). Errors name the file and the line
// or byte: NOT_FOUND for a missing file; INVALID_ARGUMENT for an empty file, no documents, a line
// that is not a JSON object or lacks the field or is longer than kMaxLineBytes, text that is not
// UTF-8, or more than kMaxTextBytes or kMaxDocuments. DATA_LOSS for a file that shrinks while it is
// read.
absl::StatusOr<std::vector<TextDocument>> ReadDocuments(std::span<const std::string> files,
                                                        absl::string_view text_field);

// Reads the tensor `input_ids` (I32 or I64, [windows, length], neither 0) of a safetensors file.
// Ids that do not fit int32 are INVALID_ARGUMENT, as is a missing or differently shaped tensor.
absl::StatusOr<TokenWindows> ReadTokenIds(const std::string& file);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TEXT_TEXT_SOURCE_H_
