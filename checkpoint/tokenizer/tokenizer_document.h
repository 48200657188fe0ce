#ifndef TERN_CHECKPOINT_TOKENIZER_TOKENIZER_DOCUMENT_H_
#define TERN_CHECKPOINT_TOKENIZER_TOKENIZER_DOCUMENT_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// A parsed tokenizer.json. Vocabulary and merges are nearly all of it and are collected while
// parsing, so that they never exist as JSON values too.
struct TokenizerDocument {
  absl::flat_hash_map<std::string, int32_t> vocabulary;     // model.vocab
  std::vector<std::pair<std::string, std::string>> merges;  // model.merges, of either spelling
  std::shared_ptr<const nlohmann::json> rest;               // an object; both are empty in it
};

// Merges are "a b" or ["a", "b"]. INVALID_ARGUMENT when the text is not JSON (names the byte), not
// an object, larger than 128 MiB, deeper than 16, has more than 8 million values (1 million outside
// of vocabulary and merges), or a vocabulary entry or merge is malformed.
absl::StatusOr<TokenizerDocument> ReadTokenizerDocument(absl::string_view text);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_TOKENIZER_DOCUMENT_H_
