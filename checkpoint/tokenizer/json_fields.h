#ifndef TERN_CHECKPOINT_TOKENIZER_JSON_FIELDS_H_
#define TERN_CHECKPOINT_TOKENIZER_JSON_FIELDS_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Fields of a component of tokenizer.json: `where` names it in errors ("pre_tokenizer[1]"), and
// `object` must be a JSON object. A missing or null field is `fallback`, or INVALID_ARGUMENT when
// there is none; a field of another type is INVALID_ARGUMENT. Strings point into the object.
absl::StatusOr<bool> BoolField(const nlohmann::json& object, absl::string_view where,
                               const char* name, std::optional<bool> fallback = std::nullopt);
absl::StatusOr<absl::string_view> StringField(
    const nlohmann::json& object, absl::string_view where, const char* name,
    std::optional<absl::string_view> fallback = std::nullopt);

// The component's "type"; INVALID_ARGUMENT when it is not an object with one.
absl::StatusOr<absl::string_view> ComponentType(const nlohmann::json& component,
                                                absl::string_view where);

// "<where> type \"<type>\" is not supported; supported are <supported>".
absl::Status UnsupportedType(absl::string_view where, absl::string_view type,
                             absl::string_view supported);

// Steps a normalizer or pre-tokenizer may have, its Sequences laid out flat.
inline constexpr size_t kMaxSteps = 32;

// INVALID_ARGUMENT when a component has more steps than that.
absl::Status CheckSteps(absl::string_view where, size_t steps);

// The parts of a Sequence, its array `name`. INVALID_ARGUMENT when it is none, has more than
// kMaxSteps entries, or is nested (`depth`) more than 4 deep.
absl::StatusOr<const nlohmann::json*> SequenceParts(const nlohmann::json& sequence,
                                                    absl::string_view where, const char* name,
                                                    int depth);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_JSON_FIELDS_H_
