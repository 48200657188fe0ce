#include "worker/model/block_weights.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

absl::StatusOr<Tensor> LoadTensor(Backend& backend, const std::string& name, int64_t rows,
                                  int64_t cols, ReadTensor read) {
  const auto host = std::make_unique_for_overwrite<float[]>(rows * cols);
  TERN_RETURN_IF_ERROR(read(name, std::span<float>(host.get(), rows * cols)));
  TERN_ASSIGN_OR_RETURN(Tensor tensor, backend.Allocate(ElementType::kF32, rows, cols));
  TERN_RETURN_IF_ERROR(backend.Upload(host.get(), tensor));
  return tensor;
}

}  // namespace

absl::StatusOr<BlockWeights> LoadNormsAndBiases(Backend& backend, const ModelConfig& config,
                                                int64_t block, ReadTensor read) {
  const std::string prefix = absl::StrCat("model.layers.", block, ".");
  const auto vector = [&](const std::string& name, int64_t size) {
    return LoadTensor(backend, name, 1, size, read);
  };
  BlockWeights weights;
  TERN_ASSIGN_OR_RETURN(weights.attention_norm,
                        vector(prefix + "input_layernorm.weight", config.hidden_size));
  TERN_ASSIGN_OR_RETURN(weights.mlp_norm,
                        vector(prefix + "post_attention_layernorm.weight", config.hidden_size));
  if (config.qk_norm) {
    TERN_ASSIGN_OR_RETURN(weights.q_norm,
                          vector(prefix + "self_attn.q_norm.weight", config.head_dim));
    TERN_ASSIGN_OR_RETURN(weights.k_norm,
                          vector(prefix + "self_attn.k_norm.weight", config.head_dim));
  }
  for (const LinearKind kind : LinearKinds()) {
    weights.weight[kind] = Tensor();
    Tensor& bias = weights.bias[kind];
    if (!HasBias(config, kind)) continue;
    TERN_ASSIGN_OR_RETURN(bias,
                          vector(LinearName(block, kind) + ".bias", ShapeOf(config, kind).rows));
  }
  return weights;
}

absl::StatusOr<BlockWeights> LoadBlock(Backend& backend, const ModelFolder& model, int64_t block) {
  const auto read = [&](absl::string_view name, std::span<float> out) {
    return model.ReadFloat(name, out);
  };
  TERN_ASSIGN_OR_RETURN(BlockWeights weights,
                        LoadNormsAndBiases(backend, model.config(), block, read));
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(model.config(), kind);
    TERN_ASSIGN_OR_RETURN(
        weights.weight[kind],
        LoadTensor(backend, LinearName(block, kind) + ".weight", shape.rows, shape.cols, read));
  }
  return weights;
}

absl::Status UseTernaryWeight(Backend& backend, LinearKind kind, const TernaryLayer& layer,
                              BlockWeights& weights) {
  const int64_t elements = layer.rows * layer.cols;
  const auto host = std::make_unique_for_overwrite<float[]>(elements);
  Dequantize(layer, std::span<float>(host.get(), elements));
  TERN_ASSIGN_OR_RETURN(Tensor tensor, backend.Allocate(ElementType::kF32, layer.rows, layer.cols));
  TERN_RETURN_IF_ERROR(backend.Upload(host.get(), tensor));
  weights.weight[kind] = tensor;
  return absl::OkStatus();
}

}  // namespace tern
