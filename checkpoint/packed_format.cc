#include "checkpoint/packed_format.h"

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "checkpoint/block_file.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/trits.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr char kField[] = "quantization_config";
constexpr int64_t kMaxGroupSize = 1 << 20;

// What is quantized how: every linear layer of the blocks as trits.
json Modules() {
  json modules = json::object();
  for (const LinearKind kind : LinearKinds()) modules[LinearModule(kind)] = {{"scheme", "ternary"}};
  return modules;
}

template <typename Value>
using Names = std::vector<std::pair<Value, const char*>>;

const Names<RotationKind>& KindNames() {
  static const auto& names = *new Names<RotationKind>{{RotationKind::kKotms, "kotms"},
                                                      {RotationKind::kHadamard, "hadamard"}};
  return names;
}

const Names<RotationFactorization>& FactorizationNames() {
  static const auto& names =
      *new Names<RotationFactorization>{{RotationFactorization::kReleased, "released"},
                                        {RotationFactorization::kBalanced, "balanced"}};
  return names;
}

template <typename Value>
std::string NameOf(Value value, const Names<Value>& names) {
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&](const auto& name) { return name.first == value; });
  assert(found != names.end());
  return found->second;
}

template <typename Value>
absl::StatusOr<Value> ParseName(const ConfigFields& fields, const char* field,
                                const Names<Value>& names) {
  const json* value = fields.Find(field);
  std::string choices;
  for (const auto& [choice, name] : names) {
    if (value != nullptr && *value == name) return choice;
    absl::StrAppend(&choices, choices.empty() ? "" : " or ", "\"", name, "\"");
  }
  return fields.Error(field, absl::StrCat(choices, " is expected"));
}

// The object of a field that only kRotatedFormatVersion has; nullptr when absent.
absl::StatusOr<const json*> ParseSection(const ConfigFields& fields, const char* field,
                                         int64_t version) {
  const json* section = fields.Find(field);
  if (section == nullptr) return nullptr;
  if (version < kRotatedFormatVersion) {
    return fields.Error(field, absl::StrCat("not in format_version ", version));
  }
  if (!section->is_object()) return fields.Error(field, "an object is expected");
  return section;
}

absl::StatusOr<RotationFormat> ParseRotation(const json& section, std::string label) {
  const ConfigFields fields(section, std::move(label));
  RotationFormat rotation;
  TERN_ASSIGN_OR_RETURN(rotation.kind, ParseName(fields, "kind", KindNames()));
  TERN_ASSIGN_OR_RETURN(rotation.factorization,
                        ParseName(fields, "factorization", FactorizationNames()));
  return rotation;
}

// `source` is the text of the config.json around it: with low-bit activations the number of its
// blocks matters.
absl::StatusOr<PackedFormat> ParseFormat(const json& quantization, const std::string& source) {
  const ConfigFields fields(quantization, absl::StrCat("config.json: ", kField));
  const json* quant_method = fields.Find("quant_method");
  if (quant_method == nullptr || *quant_method != "tern") {
    return fields.Error("quant_method", "\"tern\" is expected: not a Tern checkpoint");
  }
  TERN_ASSIGN_OR_RETURN(const int64_t version, fields.Integer("format_version", 1, INT32_MAX));
  if (version != kPackedFormatVersion && version != kRotatedFormatVersion) {
    return fields.Error(
        "format_version",
        absl::StrCat(version, ", but this build reads ", kPackedFormatVersion, " and ",
                     kRotatedFormatVersion, "; use a newer version of Tern"));
  }
  PackedFormat format;
  const json* method = fields.Find("method");
  if (method == nullptr || !method->is_string() || method->get_ref<const std::string&>().empty()) {
    return fields.Error("method", "a name is expected");
  }
  format.method = method->get<std::string>();
  TERN_ASSIGN_OR_RETURN(format.group_size, fields.Integer("group_size", 1, kMaxGroupSize));
  TERN_ASSIGN_OR_RETURN(format.permuted, fields.BooleanOr("permuted", false));
  const json* modules = fields.Find("modules");
  if (modules == nullptr || *modules != Modules()) {
    return fields.Error("modules", absl::StrCat("this build reads ", Modules().dump()));
  }
  TERN_ASSIGN_OR_RETURN(const json* rotation, ParseSection(fields, "rotation", version));
  if (rotation != nullptr) {
    TERN_ASSIGN_OR_RETURN(format.rotation, ParseRotation(*rotation, fields.Label("rotation")));
  }
  TERN_ASSIGN_OR_RETURN(const json* activations, ParseSection(fields, "activations", version));
  if (activations != nullptr) {
    TERN_ASSIGN_OR_RETURN(const ModelConfig model, ParseModelConfig(source));
    TERN_ASSIGN_OR_RETURN(
        format.activations,
        ParseActivations(*activations, fields.Label("activations"), model.num_blocks));
  }
  return format;
}

json FormatJson(const ModelConfig& model, const PackedFormat& format) {
  const bool rotated = format.rotation.has_value();
  const bool low_bit = !format.activations.empty();
  json not_quantized = json::array({"model.embed_tokens"});
  if (!model.tied_embeddings) not_quantized.push_back("lm_head");
  json quantization = {
      {"quant_method", "tern"},
      {"format_version", rotated || low_bit ? kRotatedFormatVersion : kPackedFormatVersion},
      {"method", format.method},
      {"group_size", format.group_size},
      {"permuted", format.permuted},
      {"modules", Modules()},
      {"modules_not_quantized", std::move(not_quantized)}};
  if (rotated) {
    quantization["rotation"] = {
        {"kind", RotationKindName(format.rotation->kind)},
        {"factorization", RotationFactorizationName(format.rotation->factorization)}};
  }
  if (low_bit) quantization["activations"] = ActivationsJson(format.activations);
  return quantization;
}

}  // namespace

std::string RotationKindName(RotationKind kind) { return NameOf(kind, KindNames()); }

std::string RotationFactorizationName(RotationFactorization factorization) {
  return NameOf(factorization, FactorizationNames());
}

std::optional<RotationShape> PackedFormat::RotationOf(const LinearShape& shape) const {
  if (!rotation.has_value()) return std::nullopt;
  return RotationShapeOf(shape.rows, shape.cols, rotation->factorization);
}

std::string BlockFileName(int64_t block) {
  return absl::StrFormat("tern-block-%05d.safetensors", block);
}

absl::StatusOr<std::string> PackedConfigJson(const std::string& source_config_json,
                                             const PackedFormat& format) {
  TERN_ASSIGN_OR_RETURN(const ModelConfig model, ParseModelConfig(source_config_json));
  TERN_ASSIGN_OR_RETURN(json config, ParseJsonObject(source_config_json, kConfigFile));
  config[kField] = FormatJson(model, format);
  TERN_RETURN_IF_ERROR(ParseFormat(config[kField], source_config_json).status());
  return JsonFileText(config);
}

absl::StatusOr<PackedConfig> ParsePackedConfig(const std::string& packed_config_json) {
  TERN_ASSIGN_OR_RETURN(json config, ParseJsonObject(packed_config_json, kConfigFile));
  const auto quantization = config.find(kField);
  if (quantization == config.end() || !quantization->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kConfigFile, ": ", kField, ": missing: not a Tern checkpoint"));
  }
  PackedConfig packed;
  const json section = std::move(*quantization);
  config.erase(quantization);
  packed.source_config_json = JsonFileText(config);
  TERN_ASSIGN_OR_RETURN(packed.format, ParseFormat(section, packed.source_config_json));
  return packed;
}

int64_t PackedLayerBytes(const LinearShape& shape, const PackedFormat& format) {
  const int64_t groups = (shape.cols + format.group_size - 1) / format.group_size;
  const int64_t grid = 2 * shape.rows * groups * DTypeSize(DType::kF16);
  const int64_t perm = format.permuted ? shape.cols * DTypeSize(DType::kI32) : 0;
  int64_t factors = 0;
  if (const auto rotation = format.RotationOf(shape); rotation.has_value()) {
    factors = (rotation->n1 * rotation->n1 + rotation->n2 * rotation->n2) * DTypeSize(DType::kF16);
  }
  return shape.rows * PackedTritBytes(shape.cols) + grid + perm + factors;
}

std::map<std::string, std::string> PackedWeightMap(const ModelConfig& config,
                                                   const PackedFormat& format) {
  std::map<std::string, std::string> files;
  for (ExpectedTensor& tensor : OuterTensors(config)) {
    files.emplace(std::move(tensor.name), kUnquantizedFile);
  }
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    for (std::string& name : BlockFileTensors(config, format, block)) {
      files.emplace(std::move(name), BlockFileName(block));
    }
  }
  return files;
}

absl::StatusOr<std::string> PackedIndexJson(const ModelFolder& model, const PackedFormat& format) {
  const ModelConfig& config = model.config();
  int64_t bytes = model.weight_bytes();
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    for (const LinearKind kind : LinearKinds()) {
      TERN_ASSIGN_OR_RETURN(const TensorView weight,
                            model.Get(absl::StrCat(LinearName(block, kind), ".weight")));
      bytes += PackedLayerBytes(ShapeOf(config, kind), format) -
               static_cast<int64_t>(weight.bytes.size());
    }
  }
  return JsonFileText(
      {{"metadata", {{"total_size", bytes}}}, {"weight_map", PackedWeightMap(config, format)}});
}

}  // namespace tern
