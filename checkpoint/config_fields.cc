#include "checkpoint/config_fields.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/strict_json.h"

namespace tern {

ConfigFields::ConfigFields(const nlohmann::json& object, std::string label)
    : object_(object), label_(std::move(label)) {}

const nlohmann::json* ConfigFields::Find(const char* field) const {
  const auto found = object_.find(field);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool ConfigFields::IsNull(const char* field) const {
  const auto found = object_.find(field);
  return found != object_.end() && found->is_null();
}

absl::StatusOr<int64_t> ConfigFields::Integer(const char* field, int64_t min, int64_t max) const {
  const nlohmann::json* value = Find(field);
  if (value == nullptr) return Error(field, "missing");
  return JsonInteger(*value, Label(field), min, max);
}

absl::StatusOr<int64_t> ConfigFields::IntegerOr(const char* field, int64_t min, int64_t max,
                                                int64_t absent) const {
  return Find(field) == nullptr ? absent : Integer(field, min, max);
}

absl::StatusOr<double> ConfigFields::Number(const char* field, double min, double max) const {
  const nlohmann::json* value = Find(field);
  if (value == nullptr) return Error(field, "missing");
  if (!value->is_number()) return Error(field, "a number is expected");
  const double number = value->get<double>();
  if (!(number > min && number <= max)) {
    return Error(field, absl::StrCat(number, " is not above ", min, " and at most ", max));
  }
  return number;
}

absl::StatusOr<double> ConfigFields::NumberOr(const char* field, double min, double max,
                                              double absent) const {
  return Find(field) == nullptr ? absent : Number(field, min, max);
}

absl::StatusOr<bool> ConfigFields::BooleanOr(const char* field, bool absent) const {
  const nlohmann::json* value = Find(field);
  if (value == nullptr) return absent;
  if (!value->is_boolean()) return Error(field, "true or false is expected");
  return value->get<bool>();
}

std::string ConfigFields::Label(const char* field) const {
  return absl::StrCat(label_, ": ", field);
}

absl::Status ConfigFields::Error(const char* field, absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(Label(field), ": ", what));
}

}  // namespace tern
