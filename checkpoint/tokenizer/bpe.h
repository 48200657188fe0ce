#ifndef TERN_CHECKPOINT_TOKENIZER_BPE_H_
#define TERN_CHECKPOINT_TOKENIZER_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// What a byte-pair encoding is made of, as tokenizer.json's "model" has it.
struct BpeDefinition {
  absl::flat_hash_map<std::string, int32_t> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // in order of rank
  std::optional<std::string> unk_token;  // stands for characters that are not in the vocabulary
  bool fuse_unk = false;                 // one unk_token for a run of them
  bool byte_fallback = false;            // or their bytes, as the tokens "<0x00>" ... "<0xFF>"
  bool ignore_merges = false;            // a word that is a token is that token, merged or not
};

// Byte-pair encoding: a word's characters become tokens, and the neighbouring pair whose merge has
// the lowest rank (the leftmost of equals) is joined until no pair has one. A character that is
// neither in the vocabulary nor covered by byte_fallback or unk_token is dropped. O(n log n) in the
// length of a word. Thread-safe.
class Bpe {
 public:
  // Remembers the words of one text; a text repeats few of them. Thread-compatible.
  class Cache {
   private:
    friend class Bpe;
    struct Range {
      size_t begin, size;
    };
    absl::flat_hash_map<std::string, Range> words_;
    std::vector<int32_t> ids_;
  };

  // INVALID_ARGUMENT when a merge's parts or result are not in the vocabulary.
  static absl::StatusOr<Bpe> Create(BpeDefinition definition);

  // Appends the ids of a word (well-formed UTF-8). INVALID_ARGUMENT when unk_token is needed but
  // not in the vocabulary, or when more than 8 MiB of text have no place where no merge can join.
  absl::Status Encode(absl::string_view word, Cache& cache, std::vector<int32_t>& ids) const;

  const absl::flat_hash_map<std::string, int32_t>& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    int32_t rank;
    int32_t id;  // of the joined token
  };
  struct Symbol {
    int32_t id;
    int32_t previous, next;  // positions; -1 at the ends
    bool removed;
  };

  Bpe() = default;

  size_t SegmentEnd(absl::string_view word, size_t begin) const;
  absl::Status EncodeSegment(absl::string_view segment, Cache& cache,
                             std::vector<int32_t>& ids) const;
  absl::StatusOr<std::vector<Symbol>> Characters(absl::string_view segment) const;
  bool AppendBytes(absl::string_view character, std::vector<Symbol>& symbols) const;
  void MergeAll(std::vector<Symbol>& symbols) const;
  const Merge* FindMerge(int32_t left, int32_t right) const;

  absl::flat_hash_map<std::string, int32_t> vocabulary_;
  absl::flat_hash_map<uint64_t, Merge> merges_;        // by (left id, right id)
  absl::flat_hash_map<char32_t, int32_t> characters_;  // the tokens of one character
  absl::flat_hash_set<uint64_t> junctions_;            // (last, first character) some merge joins
  std::array<std::optional<int32_t>, 256> byte_tokens_;
  std::optional<std::string> unk_token_;
  std::optional<int32_t> unk_id_;
  bool fuse_unk_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_BPE_H_
