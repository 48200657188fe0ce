#include "checkpoint/tokenizer/added_tokens.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/json_fields.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr size_t kMaxTokens = 1 << 18;
constexpr size_t kMaxContentBytes = 512;

absl::StatusOr<AddedToken> ParseOne(const nlohmann::json& entry, absl::string_view where) {
  if (!entry.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": is not a JSON object"));
  }
  AddedToken token;
  TERN_ASSIGN_OR_RETURN(const absl::string_view content, StringField(entry, where, "content"));
  token.content = std::string(content);
  TERN_ASSIGN_OR_RETURN(token.single_word, BoolField(entry, where, "single_word"));
  TERN_ASSIGN_OR_RETURN(token.lstrip, BoolField(entry, where, "lstrip"));
  TERN_ASSIGN_OR_RETURN(token.rstrip, BoolField(entry, where, "rstrip"));
  TERN_ASSIGN_OR_RETURN(token.normalized, BoolField(entry, where, "normalized"));
  if (token.content.size() > kMaxContentBytes) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": content of ", token.content.size(),
                                                   " bytes; at most ", kMaxContentBytes));
  }
  return token;
}

size_t WhiteSpaceAtEnd(absl::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const size_t last = LastCharStart(text.substr(0, begin));
    if (!IsWhiteSpace(FirstCodePoint(text.substr(last)))) break;
    begin = last;
  }
  return text.size() - begin;
}

size_t WhiteSpaceAtStart(absl::string_view text) {
  size_t end = 0;
  while (end < text.size() && IsWhiteSpace(FirstCodePoint(text.substr(end)))) {
    end += Utf8Length(text[end]);
  }
  return end;
}

}  // namespace

absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(
    const nlohmann::json& list, const absl::flat_hash_map<std::string, int32_t>& vocabulary) {
  if (list.is_null()) return std::vector<AddedToken>();
  if (!list.is_array() || list.size() > kMaxTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("added_tokens is not an array of at most ", kMaxTokens, " tokens"));
  }
  std::map<std::string, int32_t> ids;
  std::map<int32_t, AddedToken> by_id;
  auto next_id = static_cast<int64_t>(vocabulary.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = absl::StrCat("added_tokens[", i, "]");
    TERN_ASSIGN_OR_RETURN(AddedToken token, ParseOne(list[i], where));
    if (token.content.empty()) continue;
    const auto known = vocabulary.find(token.content);
    const auto seen = ids.find(token.content);
    if (seen != ids.end()) {
      token.id = seen->second;
    } else if (known != vocabulary.end()) {
      token.id = known->second;
    } else {
      token.id = static_cast<int32_t>(next_id++);
    }
    ids[token.content] = token.id;
    by_id[token.id] = std::move(token);
  }
  std::vector<AddedToken> tokens;
  tokens.reserve(by_id.size());
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  return tokens;
}

absl::StatusOr<AddedTokenFinder> AddedTokenFinder::Create(std::vector<AddedToken> tokens) {
  TERN_ASSIGN_OR_RETURN(Regex word_character,
                        Regex::CompilePcre2(absl::StrCat("[", kRustWordClass, "]")));
  AddedTokenFinder finder(std::move(word_character));
  finder.tokens_ = std::move(tokens);
  std::vector<AddedToken>& sorted = finder.tokens_;
  std::sort(sorted.begin(), sorted.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  finder.starting_with_.fill({0, 0});
  for (uint32_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i].content.empty()) {
      return absl::InvalidArgumentError("added_tokens: a token is empty once normalized");
    }
    if (i > 0 && sorted[i].content == sorted[i - 1].content) {
      return absl::InvalidArgumentError(
          absl::StrCat("added_tokens: two tokens are \"", Shown(sorted[i].content), "\""));
    }
    Slice& slice = finder.starting_with_[static_cast<uint8_t>(sorted[i].content[0])];
    if (slice.end == 0) slice.begin = i;
    slice.end = i + 1;
  }
  return finder;
}

// Narrows the sorted tokens down to those that `rest` starts with, byte by byte.
const AddedToken* AddedTokenFinder::LongestAt(absl::string_view rest) const {
  const Slice slice = starting_with_[static_cast<uint8_t>(rest[0])];
  auto begin = tokens_.begin() + slice.begin;
  auto end = tokens_.begin() + slice.end;
  const AddedToken* longest = nullptr;
  for (size_t depth = 1; begin != end; ++depth) {
    if (begin->content.size() == depth) longest = &*begin++;
    if (depth == rest.size()) break;
    if (end - begin == 1) {
      return absl::StartsWith(rest, begin->content) ? &*begin : longest;
    }
    const auto byte = static_cast<uint8_t>(rest[depth]);
    begin = std::partition_point(begin, end, [&](const AddedToken& token) {
      return static_cast<uint8_t>(token.content[depth]) < byte;
    });
    end = std::partition_point(begin, end, [&](const AddedToken& token) {
      return static_cast<uint8_t>(token.content[depth]) == byte;
    });
  }
  return longest;
}

absl::StatusOr<bool> AddedTokenFinder::IsWord(absl::string_view character,
                                              RegexScratch& scratch) const {
  TERN_ASSIGN_OR_RETURN(const std::optional<RegexMatches::Range> match,
                        RegexMatches(word_character_, character, scratch).Next());
  return match.has_value();
}

absl::StatusOr<bool> AddedTokenFinder::StandsAlone(absl::string_view text, size_t begin, size_t end,
                                                   RegexScratch& scratch) const {
  if (begin > 0) {
    const size_t before = LastCharStart(text.substr(0, begin));
    TERN_ASSIGN_OR_RETURN(const bool word, IsWord(text.substr(before, begin - before), scratch));
    if (word) return false;
  }
  if (end == text.size()) return true;
  TERN_ASSIGN_OR_RETURN(const bool word, IsWord(text.substr(end, Utf8Length(text[end])), scratch));
  return !word;
}

absl::Status AddedTokenFinder::Split(
    absl::string_view text, RegexScratch& scratch,
    absl::FunctionRef<absl::Status(absl::string_view, size_t, std::optional<int32_t>)> sink) const {
  size_t done = 0;
  size_t at = 0;
  while (at < text.size() && !tokens_.empty()) {
    const AddedToken* token = LongestAt(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    TERN_RETURN_IF_ERROR(scratch.CheckTime());
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    if (token->single_word) {
      TERN_ASSIGN_OR_RETURN(const bool alone, StandsAlone(text, begin, end, scratch));
      if (!alone) continue;
    }
    if (token->lstrip) begin -= WhiteSpaceAtEnd(text.substr(done, begin - done));
    if (token->rstrip) end += WhiteSpaceAtStart(text.substr(end));
    if (begin > done) TERN_RETURN_IF_ERROR(sink(text.substr(done, begin - done), done, {}));
    TERN_RETURN_IF_ERROR(sink(text.substr(begin, end - begin), begin, token->id));
    done = end;
    at = std::max(at, done);
  }
  if (done < text.size()) TERN_RETURN_IF_ERROR(sink(text.substr(done), done, {}));
  return absl::OkStatus();
}

absl::StatusOr<AddedTokens> LoadAddedTokens(
    const nlohmann::json& list, const absl::flat_hash_map<std::string, int32_t>& vocabulary,
    const Normalizer& normalizer) {
  TERN_ASSIGN_OR_RETURN(std::vector<AddedToken> tokens, ParseAddedTokens(list, vocabulary));
  std::vector<AddedToken> verbatim;
  std::vector<AddedToken> normalized;
  int64_t vocab_size = 0;
  RegexScratch scratch(tokens.size() * kMaxContentBytes);
  for (AddedToken& token : tokens) {
    vocab_size = std::max<int64_t>(vocab_size, int64_t{token.id} + 1);
    if (!token.normalized) {
      verbatim.push_back(std::move(token));
      continue;
    }
    TERN_RETURN_IF_ERROR(normalizer.Apply(token.content, scratch));
    normalized.push_back(std::move(token));
  }
  TERN_ASSIGN_OR_RETURN(AddedTokenFinder in_text, AddedTokenFinder::Create(std::move(verbatim)));
  TERN_ASSIGN_OR_RETURN(AddedTokenFinder in_normalized,
                        AddedTokenFinder::Create(std::move(normalized)));
  return AddedTokens{std::move(in_text), std::move(in_normalized), vocab_size};
}

}  // namespace tern
