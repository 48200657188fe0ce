#ifndef TERN_CHECKPOINT_STRICT_JSON_H_
#define TERN_CHECKPOINT_STRICT_JSON_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Largest JSON files that are read whole: a config.json, and an index or a manifest, which grow
// with the model. Parsed, hostile ones take a dozen times their size.
inline constexpr int64_t kMaxConfigFileBytes = int64_t{1} << 20;
inline constexpr int64_t kMaxJsonFileBytes = int64_t{16} << 20;

// Parses the text of a JSON file somebody else wrote: one object, nested at most 32 deep, no name
// twice in an object. Errors are INVALID_ARGUMENT and begin with `label`.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text, absl::string_view label);

// Two spaces an indent, a line feed at the end: how every JSON file here is written.
std::string JsonFileText(const nlohmann::json& json);

// The value of an integer within [min, max], or an error that says what is wrong with `field`
// ("config.json: hidden_size"): INVALID_ARGUMENT.
absl::StatusOr<int64_t> JsonInteger(const nlohmann::json& value, absl::string_view field,
                                    int64_t min, int64_t max);

// A text from a file as error messages show it: escaped, valid UTF-8, and cut when it is long.
std::string Shown(absl::string_view text);

}  // namespace tern

#endif  // TERN_CHECKPOINT_STRICT_JSON_H_
