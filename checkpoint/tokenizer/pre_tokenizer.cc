#include "checkpoint/tokenizer/pre_tokenizer.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/byte_level.h"
#include "checkpoint/tokenizer/json_fields.h"
#include "checkpoint/tokenizer/pattern_field.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr absl::string_view kSupportedPreTokenizers =
    "ByteLevel, Digits, Metaspace, Sequence, Split, Whitespace";

class SplitStep : public PreTokenizerStep {
 public:
  explicit SplitStep(SplitRule rule) : rule_(std::move(rule)) {}

  absl::Status Apply(absl::string_view piece, bool at_start, RegexScratch& scratch,
                     PieceSink sink) const override {
    return SplitText(rule_, piece, at_start, scratch, sink);
  }

 private:
  SplitRule rule_;
};

// Spells the bytes of each word as characters; words are GPT-2's or the pieces as they come.
class ByteLevelStep : public PreTokenizerStep {
 public:
  ByteLevelStep(bool add_prefix_space, std::optional<SplitRule> words)
      : add_prefix_space_(add_prefix_space), words_(std::move(words)) {}

  absl::Status Apply(absl::string_view piece, bool at_start, RegexScratch& scratch,
                     PieceSink sink) const override {
    std::string prefixed;
    if (add_prefix_space_ && piece[0] != ' ') {
      prefixed = absl::StrCat(" ", piece);
      piece = prefixed;
    }
    std::string spelled;
    const auto spell = [&](absl::string_view word, bool word_at_start) {
      spelled.clear();
      AppendByteLevel(word, spelled);
      return sink(spelled, word_at_start);
    };
    if (!words_) return spell(piece, at_start);
    return SplitText(*words_, piece, at_start, scratch, spell);
  }

 private:
  bool add_prefix_space_;
  std::optional<SplitRule> words_;
};

enum class PrependScheme { kAlways, kFirst, kNever };

// Writes spaces as a visible character, and starts a word at each.
class MetaspaceStep : public PreTokenizerStep {
 public:
  MetaspaceStep(std::string replacement, PrependScheme scheme, std::optional<SplitRule> words)
      : replacement_(std::move(replacement)), scheme_(scheme), words_(std::move(words)) {}

  absl::Status Apply(absl::string_view piece, bool at_start, RegexScratch& scratch,
                     PieceSink sink) const override {
    std::string text = absl::StrReplaceAll(piece, {{" ", replacement_}});
    const bool prepends =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && at_start);
    if (prepends && !absl::StartsWith(text, replacement_)) text.insert(0, replacement_);
    if (!words_) return sink(text, at_start);
    return SplitText(*words_, text, at_start, scratch, sink);
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  std::optional<SplitRule> words_;
};

absl::StatusOr<std::unique_ptr<PreTokenizerStep>> ParseByteLevel(const nlohmann::json& component,
                                                                 absl::string_view where) {
  TERN_ASSIGN_OR_RETURN(const bool add_prefix_space,
                        BoolField(component, where, "add_prefix_space"));
  TERN_ASSIGN_OR_RETURN(const bool use_regex, BoolField(component, where, "use_regex", true));
  std::optional<SplitRule> words;
  if (use_regex) {
    TERN_ASSIGN_OR_RETURN(Regex pattern, Regex::Compile(kGpt2Pattern));
    words = SplitRule{std::move(pattern), DelimiterBehavior::kIsolated, false};
  }
  return std::make_unique<ByteLevelStep>(add_prefix_space, std::move(words));
}

absl::StatusOr<std::unique_ptr<PreTokenizerStep>> ParseSplit(const nlohmann::json& component,
                                                             absl::string_view where) {
  TERN_ASSIGN_OR_RETURN(Regex pattern, PatternField(component, where));
  TERN_ASSIGN_OR_RETURN(const absl::string_view behavior,
                        StringField(component, where, "behavior"));
  TERN_ASSIGN_OR_RETURN(const bool invert, BoolField(component, where, "invert"));
  static constexpr std::pair<absl::string_view, DelimiterBehavior> kBehaviors[] = {
      {"Isolated", DelimiterBehavior::kIsolated},
      {"Removed", DelimiterBehavior::kRemoved},
      {"MergedWithPrevious", DelimiterBehavior::kMergedWithPrevious},
      {"MergedWithNext", DelimiterBehavior::kMergedWithNext},
      {"Contiguous", DelimiterBehavior::kContiguous},
  };
  for (const auto& [name, value] : kBehaviors) {
    if (behavior != name) continue;
    return std::make_unique<SplitStep>(SplitRule{std::move(pattern), value, invert});
  }
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": behavior \"", Shown(behavior),
                   "\" is not supported; supported are Isolated, Removed, MergedWithPrevious, "
                   "MergedWithNext, Contiguous"));
}

// Files written before "prepend_scheme" existed say "add_prefix_space" instead.
absl::StatusOr<PrependScheme> ParsePrependScheme(const nlohmann::json& component,
                                                 absl::string_view where) {
  TERN_ASSIGN_OR_RETURN(const bool add_prefix_space,
                        BoolField(component, where, "add_prefix_space", true));
  TERN_ASSIGN_OR_RETURN(
      const absl::string_view scheme,
      StringField(component, where, "prepend_scheme", add_prefix_space ? "always" : "never"));
  if (scheme == "never") return PrependScheme::kNever;
  if (!add_prefix_space) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": prepend_scheme \"", Shown(scheme),
                                                   "\" contradicts add_prefix_space false"));
  }
  if (scheme == "always") return PrependScheme::kAlways;
  if (scheme == "first") return PrependScheme::kFirst;
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": prepend_scheme \"", Shown(scheme),
                   "\" is not supported; supported are always, first, never"));
}

absl::StatusOr<std::unique_ptr<PreTokenizerStep>> ParseMetaspace(const nlohmann::json& component,
                                                                 absl::string_view where) {
  TERN_ASSIGN_OR_RETURN(const absl::string_view replacement,
                        StringField(component, where, "replacement"));
  if (replacement.empty() || Utf8Length(replacement[0]) != replacement.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": replacement \"", Shown(replacement), "\" is not one character"));
  }
  TERN_ASSIGN_OR_RETURN(const PrependScheme scheme, ParsePrependScheme(component, where));
  TERN_ASSIGN_OR_RETURN(const bool split, BoolField(component, where, "split", true));
  std::optional<SplitRule> words;
  if (split) {
    TERN_ASSIGN_OR_RETURN(Regex pattern, Regex::Literal(replacement));
    words = SplitRule{std::move(pattern), DelimiterBehavior::kMergedWithNext, false};
  }
  return std::make_unique<MetaspaceStep>(std::string(replacement), scheme, std::move(words));
}

absl::StatusOr<std::unique_ptr<PreTokenizerStep>> ParseDigits(const nlohmann::json& component,
                                                              absl::string_view where) {
  TERN_ASSIGN_OR_RETURN(const bool individual, BoolField(component, where, "individual_digits"));
  TERN_ASSIGN_OR_RETURN(Regex pattern, Regex::CompilePcre2("\\p{N}"));
  return std::make_unique<SplitStep>(
      SplitRule{std::move(pattern),
                individual ? DelimiterBehavior::kIsolated : DelimiterBehavior::kContiguous, false});
}

// Words are \w+|[^\w\s]+ as Rust's regex crate reads it.
absl::StatusOr<std::unique_ptr<PreTokenizerStep>> MakeWhitespace() {
  TERN_ASSIGN_OR_RETURN(
      Regex pattern, Regex::CompilePcre2(absl::StrCat("[", kRustWordClass, "]+|[^", kRustWordClass,
                                                      "\\p{White_Space}]+")));
  return std::make_unique<SplitStep>(
      SplitRule{std::move(pattern), DelimiterBehavior::kRemoved, true});
}

absl::StatusOr<std::unique_ptr<PreTokenizerStep>> ParseStep(const nlohmann::json& component,
                                                            absl::string_view type,
                                                            absl::string_view where) {
  if (type == "ByteLevel") return ParseByteLevel(component, where);
  if (type == "Split") return ParseSplit(component, where);
  if (type == "Metaspace") return ParseMetaspace(component, where);
  if (type == "Digits") return ParseDigits(component, where);
  if (type == "Whitespace") return MakeWhitespace();
  return UnsupportedType(where, type, kSupportedPreTokenizers);
}

absl::Status ParseInto(const nlohmann::json& component, const std::string& where, int depth,
                       std::vector<std::unique_ptr<PreTokenizerStep>>& steps) {
  TERN_ASSIGN_OR_RETURN(const absl::string_view type, ComponentType(component, where));
  if (type != "Sequence") {
    TERN_ASSIGN_OR_RETURN(std::unique_ptr<PreTokenizerStep> step,
                          ParseStep(component, type, where));
    steps.push_back(std::move(step));
    return CheckSteps(where, steps.size());
  }
  TERN_ASSIGN_OR_RETURN(const nlohmann::json* parts,
                        SequenceParts(component, where, "pretokenizers", depth));
  for (size_t i = 0; i < parts->size(); ++i) {
    TERN_RETURN_IF_ERROR(
        ParseInto((*parts)[i], absl::StrCat(where, "[", i, "]"), depth + 1, steps));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Parse(const nlohmann::json& component) {
  PreTokenizer pre_tokenizer;
  if (component.is_null()) return pre_tokenizer;
  TERN_RETURN_IF_ERROR(ParseInto(component, "pre_tokenizer", 1, pre_tokenizer.steps_));
  return pre_tokenizer;
}

absl::Status PreTokenizer::Apply(absl::string_view text, bool at_start, RegexScratch& scratch,
                                 PieceSink sink) const {
  if (text.empty()) return absl::OkStatus();
  return ApplyFrom(0, text, at_start, scratch, sink);
}

absl::Status PreTokenizer::ApplyFrom(size_t step, absl::string_view piece, bool at_start,
                                     RegexScratch& scratch, PieceSink sink) const {
  if (step == steps_.size()) return sink(piece, at_start);
  return steps_[step]->Apply(piece, at_start, scratch,
                             [&](absl::string_view part, bool part_at_start) {
                               return ApplyFrom(step + 1, part, part_at_start, scratch, sink);
                             });
}

}  // namespace tern
