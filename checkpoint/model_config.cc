#include "checkpoint/model_config.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/rope_config.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

using nlohmann::json;

// Past these a configuration is a mistake or an attack, and sizes computed from it stay far from
// overflow.
constexpr int64_t kMaxBlocks = 1000;
constexpr int64_t kMaxHidden = 131'072;
constexpr int64_t kMaxIntermediate = 1 << 20;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxVocabulary = 4 << 20;
constexpr int64_t kMaxPositions = int64_t{1} << 30;

constexpr int64_t kQwen3HeadDim = 128;    // where Qwen3's config.json says nothing
constexpr int64_t kSlidingWindow = 4096;  // where Mistral's or a windowed Qwen's says nothing
constexpr int64_t kMaxWindowLayers = 28;  // likewise

struct NamedArchitecture {
  const char* name;
  Architecture architecture;
};
constexpr NamedArchitecture kArchitectures[] = {
    {"LlamaForCausalLM", Architecture::kLlama},
    {"MistralForCausalLM", Architecture::kMistral},
    {"Qwen2ForCausalLM", Architecture::kQwen2},
    {"Qwen3ForCausalLM", Architecture::kQwen3},
};

absl::Status RefuseQuantized(const ConfigFields& fields) {
  const json* quantization = fields.Find("quantization_config");
  if (quantization == nullptr) return absl::OkStatus();
  const json method =
      quantization->is_object() ? quantization->value("quant_method", json()) : json();
  if (method == "tern") {
    return fields.Error(
        "quantization_config",
        "this is a Tern checkpoint already; submit the model it was made from (what "
        "reads it as a checkpoint needs its tern-manifest.json beside it)");
  }
  return fields.Error(
      "quantization_config",
      absl::StrCat(
          "the model is quantized already",
          method.is_string() ? absl::StrCat(" (", Shown(method.get<std::string>()), ")") : "",
          "; submit the full-precision model"));
}

absl::Status ReadArchitecture(const ConfigFields& fields, ModelConfig& config) {
  const json* names = fields.Find("architectures");
  if (names == nullptr || !names->is_array() || names->size() != 1 || !names->front().is_string()) {
    return fields.Error("architectures",
                        absl::StrCat("a list of one name is expected, one of ",
                                     absl::StrJoin(SupportedArchitectures(), ", ")));
  }
  config.architecture_name = names->front().get<std::string>();
  for (const NamedArchitecture& known : kArchitectures) {
    if (config.architecture_name == known.name) {
      config.architecture = known.architecture;
      return absl::OkStatus();
    }
  }
  return fields.Error("architectures", absl::StrCat("\"", Shown(config.architecture_name),
                                                    "\" is not supported; supported are ",
                                                    absl::StrJoin(SupportedArchitectures(), ", ")));
}

absl::Status ReadHeads(const ConfigFields& fields, ModelConfig& config) {
  TERN_ASSIGN_OR_RETURN(config.num_heads, fields.Integer("num_attention_heads", 1, kMaxHeads));
  TERN_ASSIGN_OR_RETURN(config.num_kv_heads,
                        fields.IntegerOr("num_key_value_heads", 1, kMaxHeads, config.num_heads));
  if (config.num_heads % config.num_kv_heads != 0) {
    return fields.Error("num_key_value_heads",
                        absl::StrCat(config.num_kv_heads, " does not divide num_attention_heads ",
                                     config.num_heads));
  }
  if (fields.Find("head_dim") == nullptr) {
    const bool fixed = config.architecture == Architecture::kQwen3;
    if (!fixed && config.hidden_size % config.num_heads != 0) {
      return fields.Error("num_attention_heads",
                          absl::StrCat(config.num_heads, " does not divide hidden_size ",
                                       config.hidden_size, " and there is no head_dim"));
    }
    config.head_dim = fixed ? kQwen3HeadDim : config.hidden_size / config.num_heads;
  } else {
    TERN_ASSIGN_OR_RETURN(config.head_dim, fields.Integer("head_dim", 1, kMaxHeadDim));
  }
  if (config.head_dim % 2 != 0) {
    return fields.Error("head_dim", absl::StrCat(config.head_dim, " is odd, but RoPE turns pairs"));
  }
  if (config.num_heads * config.head_dim > kMaxIntermediate) {
    return fields.Error("head_dim",
                        absl::StrCat("num_attention_heads ", config.num_heads, " times head_dim ",
                                     config.head_dim, " is over ", kMaxIntermediate));
  }
  return absl::OkStatus();
}

absl::Status ReadActivationAndNorms(const ConfigFields& fields, ModelConfig& config) {
  const json* activation = fields.Find("hidden_act");
  if (activation != nullptr && *activation != "silu") {
    return fields.Error("hidden_act", absl::StrCat(Shown(activation->dump(-1, ' ', true)),
                                                   " is not supported; supported is \"silu\""));
  }
  TERN_ASSIGN_OR_RETURN(config.rms_norm_eps, fields.NumberOr("rms_norm_eps", 0.0, 1.0, 1e-6));
  config.qk_norm = config.architecture == Architecture::kQwen3;
  return absl::OkStatus();
}

absl::Status ReadBiases(const ConfigFields& fields, ModelConfig& config) {
  config.attention_bias = config.output_bias = config.mlp_bias = false;
  if (config.architecture == Architecture::kQwen2) config.attention_bias = true;
  if (config.architecture == Architecture::kLlama || config.architecture == Architecture::kQwen3) {
    TERN_ASSIGN_OR_RETURN(config.attention_bias, fields.BooleanOr("attention_bias", false));
    config.output_bias = config.attention_bias;
  }
  if (config.architecture == Architecture::kLlama) {
    TERN_ASSIGN_OR_RETURN(config.mlp_bias, fields.BooleanOr("mlp_bias", false));
  }
  return absl::OkStatus();
}

// Which blocks of a Qwen model slide.
absl::StatusOr<std::vector<bool>> SlidingBlocks(const ConfigFields& fields,
                                                const ModelConfig& config, bool use_window) {
  std::vector<bool> sliding(static_cast<size_t>(config.num_blocks), false);
  const json* types = fields.Find("layer_types");
  if (types == nullptr) {
    TERN_ASSIGN_OR_RETURN(const int64_t first,
                          fields.IntegerOr("max_window_layers", 0,
                                           std::numeric_limits<int32_t>::max(), kMaxWindowLayers));
    for (size_t block = 0; block < sliding.size(); ++block) {
      sliding[block] = use_window && static_cast<int64_t>(block) >= first;
    }
    return sliding;
  }
  if (!types->is_array() || types->size() != sliding.size()) {
    return fields.Error("layer_types", absl::StrCat("a list of num_hidden_layers ",
                                                    config.num_blocks, " names is expected"));
  }
  for (size_t block = 0; block < sliding.size(); ++block) {
    const json& type = (*types)[block];
    sliding[block] = type == "sliding_attention";
    if (!sliding[block] && type != "full_attention") {
      return fields.Error("layer_types",
                          absl::StrCat(Shown(type.dump(-1, ' ', true)),
                                       " is not supported; supported are \"full_attention\", "
                                       "\"sliding_attention\""));
    }
    if (sliding[block] && !use_window) {
      return fields.Error(
          "layer_types",
          "\"sliding_attention\" needs use_sliding_window true and a sliding_window");
    }
  }
  return sliding;
}

absl::Status ReadSlidingWindow(const ConfigFields& fields, ModelConfig& config) {
  config.sliding_window.assign(static_cast<size_t>(config.num_blocks), 0);
  if (config.architecture == Architecture::kLlama) return absl::OkStatus();

  int64_t window = kSlidingWindow;
  const bool none = fields.IsNull("sliding_window");
  if (!none) {
    TERN_ASSIGN_OR_RETURN(window,
                          fields.IntegerOr("sliding_window", 1, kMaxPositions, kSlidingWindow));
  }
  if (config.architecture == Architecture::kMistral) {
    if (!none) config.sliding_window.assign(config.sliding_window.size(), window);
    return absl::OkStatus();
  }
  TERN_ASSIGN_OR_RETURN(const bool use_window, fields.BooleanOr("use_sliding_window", false));
  TERN_ASSIGN_OR_RETURN(const std::vector<bool> sliding,
                        SlidingBlocks(fields, config, use_window && !none));
  for (size_t block = 0; block < sliding.size(); ++block) {
    if (sliding[block]) config.sliding_window[block] = window;
  }
  return absl::OkStatus();
}

// One id, or the first of a list of them.
absl::StatusOr<std::optional<int64_t>> TokenId(const ConfigFields& fields, const char* name,
                                               int64_t vocab_size) {
  const json* id = fields.Find(name);
  if (id != nullptr && id->is_array()) id = id->empty() ? nullptr : &id->front();
  if (id == nullptr) return std::optional<int64_t>();
  TERN_ASSIGN_OR_RETURN(const int64_t value,
                        JsonInteger(*id, fields.Label(name), 0, vocab_size - 1));
  return std::optional<int64_t>(value);
}

}  // namespace

std::vector<std::string> SupportedArchitectures() {
  std::vector<std::string> names;
  for (const NamedArchitecture& known : kArchitectures) names.emplace_back(known.name);
  return names;
}

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view json) {
  TERN_ASSIGN_OR_RETURN(const nlohmann::json object, ParseJsonObject(json, "config.json"));
  const ConfigFields fields(object, "config.json");
  ModelConfig config{};
  TERN_RETURN_IF_ERROR(ReadArchitecture(fields, config));
  TERN_RETURN_IF_ERROR(RefuseQuantized(fields));
  TERN_ASSIGN_OR_RETURN(config.hidden_size, fields.Integer("hidden_size", 1, kMaxHidden));
  TERN_ASSIGN_OR_RETURN(config.intermediate_size,
                        fields.Integer("intermediate_size", 1, kMaxIntermediate));
  TERN_ASSIGN_OR_RETURN(config.num_blocks, fields.Integer("num_hidden_layers", 1, kMaxBlocks));
  TERN_ASSIGN_OR_RETURN(config.vocab_size, fields.Integer("vocab_size", 1, kMaxVocabulary));
  TERN_ASSIGN_OR_RETURN(config.max_positions,
                        fields.Integer("max_position_embeddings", 1, kMaxPositions));
  TERN_RETURN_IF_ERROR(ReadHeads(fields, config));
  TERN_RETURN_IF_ERROR(ReadActivationAndNorms(fields, config));
  TERN_ASSIGN_OR_RETURN(config.tied_embeddings, fields.BooleanOr("tie_word_embeddings", false));
  TERN_RETURN_IF_ERROR(ReadBiases(fields, config));
  TERN_ASSIGN_OR_RETURN(config.rope, ReadRopeConfig(fields));
  TERN_RETURN_IF_ERROR(ReadSlidingWindow(fields, config));
  TERN_ASSIGN_OR_RETURN(config.bos_token_id, TokenId(fields, "bos_token_id", config.vocab_size));
  TERN_ASSIGN_OR_RETURN(config.eos_token_id, TokenId(fields, "eos_token_id", config.vocab_size));
  return config;
}

}  // namespace tern
