#ifndef TERN_CHECKPOINT_CONFIG_FIELDS_H_
#define TERN_CHECKPOINT_CONFIG_FIELDS_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Reads typed fields of a JSON object from outside. Errors are INVALID_ARGUMENT and begin
// "<label>: <field>: ". A field that is null counts as absent. The object must outlive this.
class ConfigFields {
 public:
  ConfigFields(const nlohmann::json& object, std::string label);

  // nullptr when absent.
  const nlohmann::json* Find(const char* field) const;
  // There, and null.
  bool IsNull(const char* field) const;

  absl::StatusOr<int64_t> Integer(const char* field, int64_t min, int64_t max) const;
  absl::StatusOr<int64_t> IntegerOr(const char* field, int64_t min, int64_t max,
                                    int64_t absent) const;
  // Finite, above `min`, at most `max`.
  absl::StatusOr<double> Number(const char* field, double min, double max) const;
  absl::StatusOr<double> NumberOr(const char* field, double min, double max, double absent) const;
  absl::StatusOr<bool> BooleanOr(const char* field, bool absent) const;

  // "<label>: <field>"
  std::string Label(const char* field) const;
  absl::Status Error(const char* field, absl::string_view what) const;

 private:
  const nlohmann::json& object_;
  std::string label_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_CONFIG_FIELDS_H_
