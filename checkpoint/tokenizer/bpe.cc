#include "checkpoint/tokenizer/bpe.h"

#include <algorithm>
#include <queue>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

// Words up to this length are merged whole; longer ones are cut where that changes nothing.
constexpr size_t kWholeWordBytes = 64;
constexpr size_t kMaxSegmentBytes = 8 << 20;
constexpr size_t kMaxCachedWordBytes = 256;
constexpr size_t kMaxCachedWords = 1 << 18;

uint64_t PairKey(uint32_t left, uint32_t right) {
  return static_cast<uint64_t>(left) << 32 | right;
}

struct Candidate {
  int32_t rank;
  int32_t position;  // of the left symbol
  int32_t id;        // of the joined token
};

struct ComesLater {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }
};

}  // namespace

absl::StatusOr<Bpe> Bpe::Create(BpeDefinition definition) {
  Bpe bpe;
  bpe.vocabulary_ = std::move(definition.vocabulary);
  bpe.unk_token_ = std::move(definition.unk_token);
  bpe.fuse_unk_ = definition.fuse_unk;
  bpe.byte_fallback_ = definition.byte_fallback;
  bpe.ignore_merges_ = definition.ignore_merges;

  const auto find = [&](absl::string_view token) -> std::optional<int32_t> {
    const auto found = bpe.vocabulary_.find(token);
    if (found == bpe.vocabulary_.end()) return std::nullopt;
    return found->second;
  };
  if (bpe.unk_token_) bpe.unk_id_ = find(*bpe.unk_token_);
  for (int byte = 0; byte < 256; ++byte) {
    bpe.byte_tokens_[byte] = find(absl::StrFormat("<0x%02X>", byte));
  }
  for (const auto& [token, id] : bpe.vocabulary_) {
    if (!token.empty() && Utf8Length(token[0]) == token.size()) {
      bpe.characters_[FirstCodePoint(token)] = id;
    }
  }

  bpe.merges_.reserve(definition.merges.size());
  for (size_t rank = 0; rank < definition.merges.size(); ++rank) {
    const auto& [left, right] = definition.merges[rank];
    const std::optional<int32_t> left_id = find(left);
    const std::optional<int32_t> right_id = find(right);
    const std::optional<int32_t> id = find(absl::StrCat(left, right));
    if (!left_id || !right_id || !id || left.empty() || right.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("model: merges[", rank, "] (\"", Shown(left), "\" and \"", Shown(right),
                       "\") needs a token that is not in the vocabulary"));
    }
    bpe.merges_[PairKey(*left_id, *right_id)] = {static_cast<int32_t>(rank), *id};
    bpe.junctions_.insert(
        PairKey(FirstCodePoint(absl::string_view(left).substr(LastCharStart(left))),
                FirstCodePoint(right)));
  }
  return bpe;
}

absl::Status Bpe::Encode(absl::string_view word, Cache& cache, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    const auto found = vocabulary_.find(word);
    if (found != vocabulary_.end()) {
      ids.push_back(found->second);
      return absl::OkStatus();
    }
  }
  size_t begin = 0;
  while (begin < word.size()) {
    const size_t end = word.size() <= kWholeWordBytes ? word.size() : SegmentEnd(word, begin);
    TERN_RETURN_IF_ERROR(EncodeSegment(word.substr(begin, end - begin), cache, ids));
    begin = end;
  }
  return absl::OkStatus();
}

// A merge that crosses the boundary of two characters joins a token that ends with the one to a
// token that starts with the other. Where no merge does, the word can be cut. Characters without a
// token of their own become byte tokens or unk_token, so nothing is cut next to them.
size_t Bpe::SegmentEnd(absl::string_view word, size_t begin) const {
  size_t end = begin + Utf8Length(word[begin]);
  char32_t last = FirstCodePoint(word.substr(begin));
  bool last_known = characters_.contains(last);
  while (end < word.size()) {
    const char32_t next = FirstCodePoint(word.substr(end));
    const bool next_known = characters_.contains(next);
    if (last_known && next_known && !junctions_.contains(PairKey(last, next))) break;
    end += Utf8Length(word[end]);
    last = next;
    last_known = next_known;
  }
  return end;
}

absl::Status Bpe::EncodeSegment(absl::string_view segment, Cache& cache,
                                std::vector<int32_t>& ids) const {
  const auto cached = cache.words_.find(segment);
  if (cached != cache.words_.end()) {
    const auto begin = cache.ids_.begin() + static_cast<ptrdiff_t>(cached->second.begin);
    ids.insert(ids.end(), begin, begin + static_cast<ptrdiff_t>(cached->second.size));
    return absl::OkStatus();
  }
  if (segment.size() > kMaxSegmentBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a word of ", segment.size(), " bytes; at most ",
                                                   kMaxSegmentBytes, " can be merged at once"));
  }
  TERN_ASSIGN_OR_RETURN(std::vector<Symbol> symbols, Characters(segment));
  MergeAll(symbols);
  const size_t before = ids.size();
  for (const Symbol& symbol : symbols) {
    if (!symbol.removed) ids.push_back(symbol.id);
  }
  if (segment.size() <= kMaxCachedWordBytes && cache.words_.size() < kMaxCachedWords) {
    cache.words_.emplace(segment, Cache::Range{cache.ids_.size(), ids.size() - before});
    cache.ids_.insert(cache.ids_.end(), ids.begin() + static_cast<ptrdiff_t>(before), ids.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Bpe::Symbol>> Bpe::Characters(absl::string_view segment) const {
  std::vector<Symbol> symbols;
  symbols.reserve(segment.size());
  const auto add = [&](int32_t id) { symbols.push_back({id, 0, 0, false}); };
  // An unknown character waits for the next one in the vocabulary; byte tokens overtake it, as they
  // do at Hugging Face.
  bool unk_waits = false;
  for (size_t i = 0; i < segment.size(); i += Utf8Length(segment[i])) {
    const absl::string_view character = segment.substr(i, Utf8Length(segment[i]));
    const auto known = characters_.find(FirstCodePoint(character));
    if (known != characters_.end()) {
      if (unk_waits) add(*unk_id_);
      unk_waits = false;
      add(known->second);
      continue;
    }
    if (byte_fallback_ && AppendBytes(character, symbols)) continue;
    if (!unk_token_) continue;
    if (!unk_id_) {
      return absl::InvalidArgumentError(absl::StrCat("the text needs the unk_token \"",
                                                     Shown(*unk_token_),
                                                     "\", which is not in the model's vocabulary"));
    }
    if (unk_waits && !fuse_unk_) add(*unk_id_);
    unk_waits = true;
  }
  if (unk_waits) add(*unk_id_);

  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    symbols[i].previous = i - 1;
    symbols[i].next = i + 1 < count ? i + 1 : -1;
  }
  return symbols;
}

bool Bpe::AppendBytes(absl::string_view character, std::vector<Symbol>& symbols) const {
  const auto token = [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)]; };
  if (!std::all_of(character.begin(), character.end(), token)) return false;
  for (const char byte : character) symbols.push_back({*token(byte), 0, 0, false});
  return true;
}

const Bpe::Merge* Bpe::FindMerge(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::MergeAll(std::vector<Symbol>& symbols) const {
  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate, std::vector<Candidate>, ComesLater> candidates(ComesLater(),
                                                                                std::move(storage));
  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Merge* merge = FindMerge(symbols[left].id, symbols[right].id);
    if (merge != nullptr) candidates.push({merge->rank, left, merge->id});
  };
  for (int32_t i = 1; i < static_cast<int32_t>(symbols.size()); ++i) offer(i - 1, i);

  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.position];
    if (left.removed || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // A candidate is stale when its pair has changed since.
    const Merge* merge = FindMerge(left.id, right.id);
    if (merge == nullptr || merge->id != best.id) continue;

    left.id = best.id;
    left.next = right.next;
    right.removed = true;
    if (right.next >= 0) symbols[right.next].previous = best.position;
    offer(left.previous, best.position);
    offer(best.position, left.next);
  }
}

}  // namespace tern
