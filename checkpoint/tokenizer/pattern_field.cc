#include "checkpoint/tokenizer/pattern_field.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/strict_json.h"

namespace tern {

absl::StatusOr<Regex> PatternField(const nlohmann::json& object, absl::string_view where) {
  const auto pattern = object.find("pattern");
  if (pattern == object.end() || !pattern->is_object() || pattern->size() != 1 ||
      !pattern->front().is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": field \"pattern\" is neither {\"String\": ...} nor {\"Regex\": ...}"));
  }
  const std::string kind = pattern->begin().key();
  const std::string text = pattern->front().get<std::string>();
  absl::StatusOr<Regex> regex =
      kind == "String" ? Regex::Literal(text)
      : kind == "Regex"
          ? Regex::Compile(text)
          : absl::InvalidArgumentError(absl::StrCat("pattern kind \"", Shown(kind),
                                                    "\" is not supported; supported are "
                                                    "String, Regex"));
  if (regex.ok()) return regex;
  return absl::Status(regex.status().code(), absl::StrCat(where, ": ", regex.status().message()));
}

}  // namespace tern
