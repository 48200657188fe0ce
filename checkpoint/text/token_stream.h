#ifndef TERN_CHECKPOINT_TEXT_TOKEN_STREAM_H_
#define TERN_CHECKPOINT_TEXT_TOKEN_STREAM_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/text/token_windows.h"
#include "checkpoint/tokenizer/tokenizer.h"

namespace tern {

// Where the tokens of a text come from.
struct TokenSource {
  std::span<const std::string> files;
  absl::string_view text_field;
  int64_t vocab_size;  // rows of the model's embedding
  std::optional<int32_t> separator;
};

// The tokens of all documents of text files, laid end to end, the separator after every JSONL
// document that another one follows. Calls in one process take turns. INVALID_ARGUMENT: as
// ReadDocuments; as Tokenizer::Encode, naming file and line; no tokenizer; a tokenizer with more
// ids than the embedding has rows.
absl::StatusOr<std::vector<int32_t>> TokenizeDocuments(const TokenSource& source,
                                                       const Tokenizer* tokenizer);

// The windows of the one safetensors file of `source`, or nullopt when its files are text.
// INVALID_ARGUMENT: as ReadTokenIds; other files beside it; a `length` that is neither 0 nor that
// of the file; an id outside of the embedding.
absl::StatusOr<std::optional<TokenWindows>> WindowsFromFile(const TokenSource& source,
                                                            int64_t length);

// Keeps the first `count` windows. INVALID_ARGUMENT when there are fewer.
absl::Status KeepFirst(int64_t count, absl::string_view file, TokenWindows& windows);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TEXT_TOKEN_STREAM_H_
