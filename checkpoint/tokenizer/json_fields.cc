#include "checkpoint/tokenizer/json_fields.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

constexpr int kMaxDepth = 4;

// The field, or nullptr when it is missing or null.
const nlohmann::json* Find(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::Status FieldError(absl::string_view where, const char* name, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": field \"", name, "\" ", what));
}

}  // namespace

absl::StatusOr<bool> BoolField(const nlohmann::json& object, absl::string_view where,
                               const char* name, std::optional<bool> fallback) {
  const nlohmann::json* field = Find(object, name);
  if (field == nullptr && fallback) return *fallback;
  if (field == nullptr) return FieldError(where, name, "is missing");
  if (!field->is_boolean()) return FieldError(where, name, "is not true or false");
  return field->get<bool>();
}

absl::StatusOr<absl::string_view> StringField(const nlohmann::json& object, absl::string_view where,
                                              const char* name,
                                              std::optional<absl::string_view> fallback) {
  const nlohmann::json* field = Find(object, name);
  if (field == nullptr && fallback) return *fallback;
  if (field == nullptr) return FieldError(where, name, "is missing");
  if (!field->is_string()) return FieldError(where, name, "is not a string");
  return field->get_ref<const std::string&>();
}

absl::StatusOr<absl::string_view> ComponentType(const nlohmann::json& component,
                                                absl::string_view where) {
  if (!component.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": is not a JSON object"));
  }
  return StringField(component, where, "type");
}

absl::Status UnsupportedType(absl::string_view where, absl::string_view type,
                             absl::string_view supported) {
  return absl::InvalidArgumentError(absl::StrCat(where, " type \"", Shown(type),
                                                 "\" is not supported; supported are ", supported));
}

absl::Status CheckSteps(absl::string_view where, size_t steps) {
  if (steps <= kMaxSteps) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, ": more than ", kMaxSteps, " steps"));
}

absl::StatusOr<const nlohmann::json*> SequenceParts(const nlohmann::json& sequence,
                                                    absl::string_view where, const char* name,
                                                    int depth) {
  const nlohmann::json* parts = Find(sequence, name);
  if (parts == nullptr || !parts->is_array()) return FieldError(where, name, "is not an array");
  if (parts->size() > kMaxSteps) {
    return FieldError(where, name, absl::StrCat("has more than ", kMaxSteps, " entries"));
  }
  if (depth > kMaxDepth) {
    return FieldError(where, name, absl::StrCat("is nested more than ", kMaxDepth, " deep"));
  }
  return parts;
}

}  // namespace tern
