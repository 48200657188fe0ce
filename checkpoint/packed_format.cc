#include "checkpoint/packed_format.h"

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

absl::StatusOr<PackedFormat> ParseFormat(const json& quantization) {
  const ConfigFields fields(quantization, absl::StrCat("config.json: ", kField));
  const json* quant_method = fields.Find("quant_method");
  if (quant_method == nullptr || *quant_method != "tern") {
    return fields.Error("quant_method", "\"tern\" is expected: not a Tern checkpoint");
  }
  TERN_ASSIGN_OR_RETURN(const int64_t version, fields.Integer("format_version", 1, INT32_MAX));
  if (version != kPackedFormatVersion) {
    return fields.Error("format_version",
                        absl::StrCat(version, ", but this build reads ", kPackedFormatVersion,
                                     "; use a newer version of Tern"));
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
  return format;
}

}  // namespace

std::string BlockFileName(int64_t block) {
  return absl::StrFormat("tern-block-%05d.safetensors", block);
}

absl::StatusOr<std::string> PackedConfigJson(const std::string& source_config_json,
                                             const PackedFormat& format) {
  TERN_ASSIGN_OR_RETURN(const ModelConfig model, ParseModelConfig(source_config_json));
  TERN_ASSIGN_OR_RETURN(json config, ParseJsonObject(source_config_json, kConfigFile));
  json not_quantized = json::array({"model.embed_tokens"});
  if (!model.tied_embeddings) not_quantized.push_back("lm_head");
  config[kField] = {{"quant_method", "tern"},
                    {"format_version", kPackedFormatVersion},
                    {"method", format.method},
                    {"group_size", format.group_size},
                    {"permuted", format.permuted},
                    {"modules", Modules()},
                    {"modules_not_quantized", std::move(not_quantized)}};
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
  TERN_ASSIGN_OR_RETURN(packed.format, ParseFormat(*quantization));
  config.erase(quantization);
  packed.source_config_json = JsonFileText(config);
  return packed;
}

int64_t PackedLayerBytes(const LinearShape& shape, const PackedFormat& format) {
  const int64_t groups = (shape.cols + format.group_size - 1) / format.group_size;
  const int64_t grid = 2 * shape.rows * groups * DTypeSize(DType::kF16);
  const int64_t perm = format.permuted ? shape.cols * DTypeSize(DType::kI32) : 0;
  return shape.rows * PackedTritBytes(shape.cols) + grid + perm;
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
