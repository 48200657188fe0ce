#include "checkpoint/strict_json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/bounded_utf8.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr size_t kShownBytes = 203;  // the mark of a cut included

// Watches a parse and keeps the first rule it saw broken.
class Rules {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (!broken_.empty()) return false;
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= kMaxDepth) {
        broken_ = absl::StrCat("nested more than ", kMaxDepth, " deep");
        return false;
      }
      names_.resize(static_cast<size_t>(depth) + 1);
      names_.back().clear();
    } else if (event == json::parse_event_t::key) {
      // A name is one level deeper than the object it belongs to.
      const auto& name = parsed.get_ref<const std::string&>();
      if (!names_[static_cast<size_t>(depth) - 1].insert(name).second) {
        broken_ = absl::StrCat("\"", Shown(name), "\" twice in one object");
        return false;
      }
    }
    return true;
  }

  const std::string& broken() const { return broken_; }

 private:
  std::vector<std::set<std::string>> names_;  // of the objects that are open, by depth
  std::string broken_;
};

}  // namespace

absl::StatusOr<json> ParseJsonObject(absl::string_view text, absl::string_view label) {
  // The parser would take a NUL for the end of the text.
  if (absl::StrContains(text, '\0')) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": not valid JSON: a NUL byte"));
  }
  Rules rules;
  json parsed = json::parse(
      text.data(), text.data() + text.size(),
      [&rules](int depth, json::parse_event_t event, json& value) {
        return rules(depth, event, value);
      },
      /*allow_exceptions=*/false);
  if (!rules.broken().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": ", rules.broken()));
  }
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": not valid JSON"));
  }
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(label, ": a JSON ", parsed.type_name(), ", but an object is expected"));
  }
  return parsed;
}

std::string JsonFileText(const json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::StatusOr<int64_t> JsonInteger(const json& value, absl::string_view field, int64_t min,
                                    int64_t max) {
  if (!value.is_number_integer()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": an integer is expected, not ",
                     Shown(value.dump(-1, ' ', true, json::error_handler_t::replace))));
  }
  const bool too_large =
      value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (too_large || value.get<int64_t>() < min || value.get<int64_t>() > max) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", value.dump(), " is not within ", min, " to ", max));
  }
  return value.get<int64_t>();
}

std::string Shown(absl::string_view text) {
  return absl::Utf8SafeCHexEscape(BoundedUtf8(text, kShownBytes));
}

}  // namespace tern
