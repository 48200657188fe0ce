#ifndef TERN_CHECKPOINT_TOKENIZER_PATTERN_FIELD_H_
#define TERN_CHECKPOINT_TOKENIZER_PATTERN_FIELD_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/tokenizer/regex.h"

namespace tern {

// The field "pattern" of a component of tokenizer.json: {"String": literal} or {"Regex": pattern}.
absl::StatusOr<Regex> PatternField(const nlohmann::json& object, absl::string_view where);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TOKENIZER_PATTERN_FIELD_H_
