#include "checkpoint/tokenizer/tokenizer_document.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr size_t kMaxBytes = 128 << 20;
constexpr int kMaxDocumentDepth = 16;
constexpr int64_t kMaxValues = 8'000'000;
constexpr int64_t kMaxOtherValues = 1'000'000;

// What ends parsing before the end of the text: the parser's callback has no other way.
struct Rejected {
  absl::Status status;
};

// Sees everything as it is parsed, and decides what is kept. `depth` counts the containers around
// it: the entries of model.vocab and model.merges are at depth 3.
class Collector {
 public:
  explicit Collector(TokenizerDocument& document) : document_(document) {}

  bool operator()(int depth, json::parse_event_t event, json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        Open(depth, event == json::parse_event_t::array_start);
        return true;
      case json::parse_event_t::key:
        return Key(depth, value.get_ref<const std::string&>());
      case json::parse_event_t::object_end:
        return true;
      case json::parse_event_t::array_end:
        if (depth != 3 || !InModel("merges")) return true;
        AddMergePair(value);
        return false;
      case json::parse_event_t::value:
        return Value(depth, value);
    }
    return true;
  }

 private:
  [[noreturn]] static void Reject(absl::string_view message) {
    throw Rejected{absl::InvalidArgumentError(message)};
  }

  bool InModel(absl::string_view field) const { return section_ == "model" && field_ == field; }

  void Count() {
    const bool counted_apart = InModel("vocab") || InModel("merges");
    if (!counted_apart && ++other_values_ > kMaxOtherValues) Reject("too many values");
    if (++values_ > kMaxValues) Reject("too many values");
  }

  void Open(int depth, bool is_array) {
    if (depth >= kMaxDocumentDepth) Reject("nested too deep");
    Count();
    if (depth == 2 && InModel("vocab") && is_array) field_.clear();  // another type of model's
    if (depth == 2 && InModel("merges") && !is_array) Reject("model: merges is not an array");
    if (depth >= 3 && InModel("vocab")) RejectId();
    if (depth >= 3 && InModel("merges") && (depth > 3 || !is_array)) RejectMerge();
  }

  bool Key(int depth, const std::string& key) {
    if (depth == 1) {
      section_ = key;
      field_.clear();
    } else if (depth == 2) {
      field_ = key;
      const bool again = (InModel("vocab") && !document_.vocabulary.empty()) ||
                         (InModel("merges") && !document_.merges.empty());
      if (again) Reject(absl::StrCat("model: field \"", key, "\" is there twice"));
    } else if (depth == 3 && InModel("vocab")) {
      token_ = key;
      return false;
    }
    return true;
  }

  bool Value(int depth, const json& value) {
    Count();
    if (depth == 2 && InModel("merges")) Reject("model: merges is not an array");
    if (depth == 3 && InModel("vocab")) AddToken(value);
    if (depth != 3 || !InModel("merges")) return true;
    AddMergeText(value);
    return false;
  }

  void AddToken(const json& id) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() >= static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
      RejectId();
    }
    document_.vocabulary[token_] = id.get<int32_t>();
  }

  void AddMergeText(const json& merge) {
    if (!merge.is_string()) RejectMerge();
    const auto& text = merge.get_ref<const std::string&>();
    if (absl::StartsWith(text, "#version")) return;
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      RejectMerge();
    }
    document_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }

  void AddMergePair(const json& merge) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) RejectMerge();
    document_.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
  }

  [[noreturn]] void RejectId() const {
    Reject(absl::StrCat("model: the id of \"", Shown(token_), "\" in vocab is not a token id"));
  }

  [[noreturn]] void RejectMerge() const {
    Reject(absl::StrCat("model: merges[", document_.merges.size(),
                        "] is neither \"left right\" nor [\"left\", \"right\"]"));
  }

  TokenizerDocument& document_;
  std::string section_, field_, token_;
  int64_t values_ = 0;
  int64_t other_values_ = 0;
};

}  // namespace

absl::StatusOr<TokenizerDocument> ReadTokenizerDocument(absl::string_view text) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(text.size(), " bytes; at most ", kMaxBytes));
  }
  TokenizerDocument document;
  Collector collector(document);
  try {
    auto rest = std::make_shared<json>(json::parse(
        text.begin(), text.end(), [&](int depth, json::parse_event_t event, json& value) {
          return collector(depth, event, value);
        }));
    if (!rest->is_object()) return absl::InvalidArgumentError("not a JSON object");
    document.rest = std::move(rest);
  } catch (const Rejected& rejected) {
    return rejected.status;
  } catch (const json::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat("not valid JSON at byte ", error.byte));
  } catch (const json::exception&) {
    return absl::InvalidArgumentError("not valid JSON: a number is out of range");
  }
  return document;
}

}  // namespace tern
