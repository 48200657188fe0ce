#ifndef TERN_CHECKPOINT_TOKENIZER_ADDED_TOKENS_H_
#define TERN_CHECKPOINT_TOKENIZER_ADDED_TOKENS_H_

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/regex.h"

namespace tern {

// A token that is found in the text as a whole before anything is split or merged.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only where no word character adjoins
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and that after it
  bool normalized = false;   // is looked for in the normalized text, itself normalized
};

// The "added_tokens" of tokenizer.json. Ids are given as Hugging Face does when it loads the file:
// that of the vocabulary when the token is in it, else the next one past the vocabulary, in the
// order of the file, whatever the entry says.
absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(
    const nlohmann::json& list, const absl::flat_hash_map<std::string, int32_t>& vocabulary);

// Finds added tokens in text: the leftmost, and of those that start there the longest.
// Thread-safe.
class AddedTokenFinder {
 public:
  // Looks for the tokens as they are written. INVALID_ARGUMENT when two are written the same.
  static absl::StatusOr<AddedTokenFinder> Create(std::vector<AddedToken> tokens);

  // Hands the parts of `text` to `sink` in order, none of them empty: stretches without added
  // tokens (`id` is empty) and added tokens. `offset` is where the part starts.
  absl::Status Split(absl::string_view text, RegexScratch& scratch,
                     absl::FunctionRef<absl::Status(absl::string_view part, size_t offset,
                                                    std::optional<int32_t> id)>
                         sink) const;

 private:
  struct Slice {
    uint32_t begin, end;  // of tokens_
  };

  explicit AddedTokenFinder(Regex word_character) : word_character_(std::move(word_character)) {}

  const AddedToken* LongestAt(absl::string_view rest) const;
  absl::StatusOr<bool> IsWord(absl::string_view character, RegexScratch& scratch) const;
  absl::StatusOr<bool> StandsAlone(absl::string_view text, size_t begin, size_t end,
                                   RegexScratch& scratch) const;

  std::vector<AddedToken> tokens_;        // sorted by content
  std::array<Slice, 256> starting_with_;  // tokens by first byte
  Regex word_character_;
};

// The two searches of a tokenizer: tokens that are looked for in the text as it is, and tokens that
// are normalized and looked for in the normalized text.
struct AddedTokens {
  AddedTokenFinder verbatim;
  AddedTokenFinder normalized;
  int64_t vocab_size;  // largest id + 1; 0 without tokens
};

// `list` and `vocabulary` as for ParseAddedTokens.
absl::StatusOr<AddedTokens> LoadAddedTokens(
    const nlohmann::json& list, const absl::flat_hash_map<std::string, int32_t>& vocabulary,
    const Normalizer& normalizer);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_ADDED_TOKENS_H_
