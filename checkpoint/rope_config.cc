#include "checkpoint/rope_config.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr double kDefaultTheta = 10000.0;
constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr int64_t kMaxPositions = int64_t{1} << 30;

absl::StatusOr<RopeConfig::Type> ReadType(const ConfigFields& rope) {
  const char* field = rope.Find("rope_type") != nullptr ? "rope_type" : "type";
  const json* type = rope.Find(field);
  if (type == nullptr || *type == "default") return RopeConfig::Type::kDefault;
  if (*type == "linear") return RopeConfig::Type::kLinear;
  if (*type == "llama3") return RopeConfig::Type::kLlama3;
  return rope.Error(field, absl::StrCat(Shown(type->dump(-1, ' ', true)),
                                        " is not supported; supported are default, linear, "
                                        "llama3"));
}

absl::Status RefusePartial(const ConfigFields& fields) {
  TERN_ASSIGN_OR_RETURN(const double part, fields.NumberOr("partial_rotary_factor", 0, 1, 1));
  if (part == 1) return absl::OkStatus();
  return fields.Error("partial_rotary_factor",
                      absl::StrCat(part, " is not supported; RoPE must turn the whole head"));
}

absl::Status ReadScaling(const ConfigFields& rope, RopeConfig& config) {
  TERN_ASSIGN_OR_RETURN(config.type, ReadType(rope));
  TERN_RETURN_IF_ERROR(RefusePartial(rope));
  if (config.type == RopeConfig::Type::kDefault) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(config.factor, rope.Number("factor", 0, kMaxFactor));
  if (config.factor < 1) {
    return rope.Error("factor", absl::StrCat(config.factor, " is less than 1"));
  }
  if (config.type == RopeConfig::Type::kLinear) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(config.low_freq_factor, rope.Number("low_freq_factor", 0, kMaxFactor));
  TERN_ASSIGN_OR_RETURN(config.high_freq_factor, rope.Number("high_freq_factor", 0, kMaxFactor));
  if (config.high_freq_factor <= config.low_freq_factor) {
    return rope.Error("high_freq_factor",
                      absl::StrCat(config.high_freq_factor, " is not above low_freq_factor ",
                                   config.low_freq_factor));
  }
  TERN_ASSIGN_OR_RETURN(config.original_max_position,
                        rope.Integer("original_max_position_embeddings", 1, kMaxPositions));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RopeConfig> ReadRopeConfig(const ConfigFields& config) {
  const json* scaling = config.Find("rope_scaling");
  const json* parameters = config.Find("rope_parameters");
  if (scaling != nullptr && parameters != nullptr) {
    return config.Error("rope_scaling", "given beside rope_parameters; keep one of them");
  }
  RopeConfig rope;
  TERN_RETURN_IF_ERROR(RefusePartial(config));
  TERN_ASSIGN_OR_RETURN(rope.theta, config.NumberOr("rope_theta", 0, kMaxTheta, kDefaultTheta));
  const char* field = scaling != nullptr ? "rope_scaling" : "rope_parameters";
  const json* nested = scaling != nullptr ? scaling : parameters;
  if (nested == nullptr) return rope;
  if (!nested->is_object()) return config.Error(field, "an object is expected");
  for (const char* layer_type : {"full_attention", "sliding_attention"}) {
    if (nested->contains(layer_type)) {
      return config.Error(field, "RoPE parameters per layer type are not supported");
    }
  }
  const ConfigFields nested_fields(*nested, config.Label(field));
  TERN_ASSIGN_OR_RETURN(rope.theta, nested_fields.NumberOr("rope_theta", 0, kMaxTheta, rope.theta));
  TERN_RETURN_IF_ERROR(ReadScaling(nested_fields, rope));
  return rope;
}

}  // namespace tern
