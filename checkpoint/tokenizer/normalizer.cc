#include "checkpoint/tokenizer/normalizer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tokenizer/json_fields.h"
#include "checkpoint/tokenizer/pattern_field.h"
#include "checkpoint/tokenizer/unicode_nfc.h"

namespace tern {
namespace {

constexpr absl::string_view kSupported = "NFC, Prepend, Replace, Sequence";
constexpr size_t kMaxGrowth = 8;
constexpr size_t kFreeGrowthBytes = 64 << 10;

absl::Status CheckSize(size_t size, size_t max_bytes) {
  if (size <= max_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("normalizer: the text grows beyond ", max_bytes, " bytes"));
}

class NfcStep : public NormalizerStep {
 public:
  absl::Status Apply(std::string& text, size_t max_bytes, RegexScratch&) const override {
    text = ToNfc(text);
    return CheckSize(text.size(), max_bytes);
  }
};

// Puts a string before any text that is not empty.
class PrependStep : public NormalizerStep {
 public:
  explicit PrependStep(std::string prefix) : prefix_(std::move(prefix)) {}

  absl::Status Apply(std::string& text, size_t max_bytes, RegexScratch&) const override {
    if (!text.empty()) text.insert(0, prefix_);
    return CheckSize(text.size(), max_bytes);
  }

 private:
  std::string prefix_;
};

// Replaces every match of a pattern by a literal string.
class ReplaceStep : public NormalizerStep {
 public:
  ReplaceStep(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  absl::Status Apply(std::string& text, size_t max_bytes, RegexScratch& scratch) const override {
    if (text.empty()) return absl::OkStatus();  // even for a pattern that matches nothing at all
    std::string replaced;
    replaced.reserve(text.size() + text.size() / 2);
    size_t copied = 0;
    RegexMatches matches(pattern_, text, scratch);
    while (true) {
      TERN_ASSIGN_OR_RETURN(const std::optional<RegexMatches::Range> match, matches.Next());
      if (!match) break;
      replaced.append(text, copied, match->begin - copied);
      replaced.append(content_);
      copied = match->end;
      TERN_RETURN_IF_ERROR(CheckSize(replaced.size(), max_bytes));
    }
    replaced.append(text, copied);
    TERN_RETURN_IF_ERROR(CheckSize(replaced.size(), max_bytes));
    text = std::move(replaced);
    return absl::OkStatus();
  }

 private:
  Regex pattern_;
  std::string content_;
};

absl::Status ParseInto(const nlohmann::json& component, const std::string& where, int depth,
                       std::vector<std::unique_ptr<NormalizerStep>>& steps) {
  TERN_ASSIGN_OR_RETURN(const absl::string_view type, ComponentType(component, where));
  if (type == "Sequence") {
    TERN_ASSIGN_OR_RETURN(const nlohmann::json* parts,
                          SequenceParts(component, where, "normalizers", depth));
    for (size_t i = 0; i < parts->size(); ++i) {
      TERN_RETURN_IF_ERROR(
          ParseInto((*parts)[i], absl::StrCat(where, "[", i, "]"), depth + 1, steps));
    }
  } else if (type == "NFC") {
    steps.push_back(std::make_unique<NfcStep>());
  } else if (type == "Prepend") {
    TERN_ASSIGN_OR_RETURN(const absl::string_view prefix, StringField(component, where, "prepend"));
    steps.push_back(std::make_unique<PrependStep>(std::string(prefix)));
  } else if (type == "Replace") {
    TERN_ASSIGN_OR_RETURN(Regex pattern, PatternField(component, where));
    TERN_ASSIGN_OR_RETURN(const absl::string_view content,
                          StringField(component, where, "content"));
    steps.push_back(std::make_unique<ReplaceStep>(std::move(pattern), std::string(content)));
  } else {
    return UnsupportedType(where, type, kSupported);
  }
  return CheckSteps(where, steps.size());
}

}  // namespace

absl::StatusOr<Normalizer> Normalizer::Parse(const nlohmann::json& component) {
  Normalizer normalizer;
  if (component.is_null()) return normalizer;
  TERN_RETURN_IF_ERROR(ParseInto(component, "normalizer", 1, normalizer.steps_));
  return normalizer;
}

absl::Status Normalizer::Apply(std::string& text, RegexScratch& scratch) const {
  const size_t max_bytes = kMaxGrowth * text.size() + kFreeGrowthBytes;
  for (const auto& step : steps_) {
    TERN_RETURN_IF_ERROR(step->Apply(text, max_bytes, scratch));
  }
  return absl::OkStatus();
}

}  // namespace tern
