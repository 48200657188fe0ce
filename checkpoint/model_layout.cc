#include "checkpoint/model_layout.h"

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

absl::string_view ModuleOf(LinearKind kind) {
  switch (kind) {
    case LinearKind::kQ:
      return "self_attn.q_proj";
    case LinearKind::kK:
      return "self_attn.k_proj";
    case LinearKind::kV:
      return "self_attn.v_proj";
    case LinearKind::kO:
      return "self_attn.o_proj";
    case LinearKind::kGate:
      return "mlp.gate_proj";
    case LinearKind::kUp:
      return "mlp.up_proj";
    case LinearKind::kDown:
      break;
  }
  return "mlp.down_proj";
}

std::string BlockPrefix(int64_t block) { return absl::StrCat("model.layers.", block, "."); }

}  // namespace

const std::vector<std::vector<LinearKind>>& CalibrationSets() {
  static const auto& sets =
      *new std::vector<std::vector<LinearKind>>{{LinearKind::kQ, LinearKind::kK, LinearKind::kV},
                                                {LinearKind::kO},
                                                {LinearKind::kGate, LinearKind::kUp},
                                                {LinearKind::kDown}};
  return sets;
}

const std::vector<LinearKind>& LinearKinds() {
  static const auto& kinds = *new std::vector<LinearKind>{
      LinearKind::kQ,    LinearKind::kK,  LinearKind::kV,   LinearKind::kO,
      LinearKind::kGate, LinearKind::kUp, LinearKind::kDown};
  return kinds;
}

LinearShape ShapeOf(const ModelConfig& config, LinearKind kind) {
  const int64_t q_size = config.num_heads * config.head_dim;
  const int64_t kv_size = config.num_kv_heads * config.head_dim;
  switch (kind) {
    case LinearKind::kQ:
      return {q_size, config.hidden_size};
    case LinearKind::kK:
    case LinearKind::kV:
      return {kv_size, config.hidden_size};
    case LinearKind::kO:
      return {config.hidden_size, q_size};
    case LinearKind::kGate:
    case LinearKind::kUp:
      return {config.intermediate_size, config.hidden_size};
    case LinearKind::kDown:
      break;
  }
  return {config.hidden_size, config.intermediate_size};
}

std::string LinearModule(LinearKind kind) { return std::string(ModuleOf(kind)); }

std::string LinearName(int64_t block, LinearKind kind) {
  return absl::StrCat(BlockPrefix(block), ModuleOf(kind));
}

bool HasBias(const ModelConfig& config, LinearKind kind) {
  switch (kind) {
    case LinearKind::kQ:
    case LinearKind::kK:
    case LinearKind::kV:
      return config.attention_bias;
    case LinearKind::kO:
      return config.output_bias;
    default:
      return config.mlp_bias;
  }
}

std::vector<ExpectedTensor> UnquantizedBlockTensors(const ModelConfig& config, int64_t block) {
  const std::string prefix = BlockPrefix(block);
  std::vector<ExpectedTensor> tensors = {
      {absl::StrCat(prefix, "input_layernorm.weight"), {config.hidden_size}},
      {absl::StrCat(prefix, "post_attention_layernorm.weight"), {config.hidden_size}}};
  if (config.qk_norm) {
    tensors.push_back({absl::StrCat(prefix, "self_attn.q_norm.weight"), {config.head_dim}});
    tensors.push_back({absl::StrCat(prefix, "self_attn.k_norm.weight"), {config.head_dim}});
  }
  for (const LinearKind kind : LinearKinds()) {
    if (!HasBias(config, kind)) continue;
    tensors.push_back(
        {absl::StrCat(prefix, ModuleOf(kind), ".bias"), {ShapeOf(config, kind).rows}});
  }
  return tensors;
}

std::vector<ExpectedTensor> BlockTensors(const ModelConfig& config, int64_t block) {
  std::vector<ExpectedTensor> tensors = UnquantizedBlockTensors(config, block);
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(config, kind);
    tensors.push_back({absl::StrCat(LinearName(block, kind), ".weight"), {shape.rows, shape.cols}});
  }
  return tensors;
}

std::vector<ExpectedTensor> OuterTensors(const ModelConfig& config) {
  const std::vector<int64_t> embedding = {config.vocab_size, config.hidden_size};
  std::vector<ExpectedTensor> tensors = {{"model.embed_tokens.weight", embedding},
                                         {"model.norm.weight", {config.hidden_size}}};
  if (!config.tied_embeddings) tensors.push_back({"lm_head.weight", embedding});
  return tensors;
}

}  // namespace tern
