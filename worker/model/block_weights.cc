#include "worker/model/block_weights.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/dtype.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

// Puts what `host` holds where the backend computes.
using Upload =
    absl::FunctionRef<absl::StatusOr<Tensor>(const void* host, ElementType, int64_t, int64_t)>;

absl::StatusOr<Tensor> LoadTensor(Upload upload, const std::string& name, int64_t rows,
                                  int64_t cols, ReadTensor read) {
  const auto host = std::make_unique_for_overwrite<float[]>(rows * cols);
  TERN_RETURN_IF_ERROR(read(name, std::span<float>(host.get(), rows * cols)));
  return upload(host.get(), ElementType::kF32, rows, cols);
}

ElementType TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return ElementType::kBF16;
    case DType::kF16:
      return ElementType::kF16;
    default:
      return ElementType::kF32;
  }
}

absl::StatusOr<Tensor> Converted(Backend& backend, const Tensor& tensor, ElementType type) {
  if (tensor.type() == type) return tensor;
  TERN_ASSIGN_OR_RETURN(Tensor converted, backend.Allocate(type, tensor.rows(), tensor.cols()));
  TERN_RETURN_IF_ERROR(backend.Convert(tensor, converted));
  return converted;
}

// As the file has it, without a detour through float32.
absl::StatusOr<Tensor> LoadAsStored(Upload upload, const ModelFolder& model,
                                    const std::string& name, const LinearShape& shape) {
  TERN_ASSIGN_OR_RETURN(const TensorView view, model.Get(name));
  if (!IsWeightDType(view.dtype) ||
      static_cast<int64_t>(view.bytes.size()) != shape.rows * shape.cols * DTypeSize(view.dtype)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": not a matrix of ", shape.rows, "x", shape.cols, " floats"));
  }
  TERN_ASSIGN_OR_RETURN(Tensor tensor,
                        upload(view.bytes.data(), TypeOf(view.dtype), shape.rows, shape.cols));
  model.Release(name);
  return tensor;
}

absl::StatusOr<BlockWeights> LoadVectors(Upload upload, const ModelConfig& config, int64_t block,
                                         ReadTensor read) {
  const std::string prefix = absl::StrCat("model.layers.", block, ".");
  const auto vector = [&](const std::string& name, int64_t size) {
    return LoadTensor(upload, name, 1, size, read);
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

// Linear weights are float32 where `type` is, else as the file has them.
absl::StatusOr<BlockWeights> ReadBlock(Upload upload, const ModelFolder& model, int64_t block,
                                       ElementType type) {
  const auto read = [&](absl::string_view name, std::span<float> out) {
    return model.ReadFloat(name, out);
  };
  TERN_ASSIGN_OR_RETURN(BlockWeights weights, LoadVectors(upload, model.config(), block, read));
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(model.config(), kind);
    const std::string name = LinearName(block, kind) + ".weight";
    TERN_ASSIGN_OR_RETURN(weights.weight[kind],
                          type == ElementType::kF32
                              ? LoadTensor(upload, name, shape.rows, shape.cols, read)
                              : LoadAsStored(upload, model, name, shape));
  }
  return weights;
}

// Through the backend's own queue.
auto UploadTo(Backend& backend) {
  return [&backend](const void* host, ElementType type, int64_t rows,
                    int64_t cols) -> absl::StatusOr<Tensor> {
    TERN_ASSIGN_OR_RETURN(Tensor tensor, backend.Allocate(type, rows, cols));
    TERN_RETURN_IF_ERROR(backend.Upload(host, tensor));
    return tensor;
  };
}

}  // namespace

absl::StatusOr<BlockWeights> LoadNormsAndBiases(Backend& backend, const ModelConfig& config,
                                                int64_t block, ReadTensor read) {
  return LoadVectors(UploadTo(backend), config, block, read);
}

absl::StatusOr<BlockWeights> LoadBlock(Backend& backend, const ModelFolder& model, int64_t block) {
  TERN_ASSIGN_OR_RETURN(BlockWeights weights,
                        ReadBlock(UploadTo(backend), model, block, backend.activation_type()));
  TERN_RETURN_IF_ERROR(UseAsActivations(backend, weights));
  return weights;
}

absl::StatusOr<BlockWeights> LoadBlockAhead(UploadLane& lane, ElementType type,
                                            const ModelFolder& model, int64_t block) {
  absl::StatusOr<BlockWeights> weights =
      ReadBlock([&](const void* host, ElementType stored, int64_t rows,
                    int64_t cols) { return lane.Upload(host, stored, rows, cols); },
                model, block, type);
  TERN_RETURN_IF_ERROR(lane.Finish());
  return weights;
}

absl::Status UseAsActivations(Backend& backend, BlockWeights& weights) {
  const ElementType type = backend.activation_type();
  for (auto& [kind, weight] : weights.weight) {
    if (weight.type() == type) continue;
    weights.rounded[kind] = weight;
    TERN_ASSIGN_OR_RETURN(weight, Converted(backend, weight, type));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> ExactWeight(Backend& backend, LinearKind kind, const BlockWeights& weights) {
  const auto rounded = weights.rounded.find(kind);
  const Tensor& exact =
      rounded == weights.rounded.end() ? weights.weight.at(kind) : rounded->second;
  return Converted(backend, exact, ElementType::kF32);
}

absl::StatusOr<Tensor> StoredWeight(Backend& backend, const TernaryLayer& layer, ElementType type) {
  const auto upload = [&](ElementType stored, int64_t rows, const auto& values,
                          Tensor& tensor) -> absl::Status {
    if (values.empty()) return absl::OkStatus();
    TERN_ASSIGN_OR_RETURN(
        tensor, backend.Allocate(stored, rows, static_cast<int64_t>(values.size()) / rows));
    return backend.Upload(values.data(), tensor);
  };
  PackedTernary packed;
  TERN_RETURN_IF_ERROR(upload(ElementType::kU8, layer.rows, layer.trits, packed.trits));
  TERN_RETURN_IF_ERROR(upload(ElementType::kF16, layer.rows, layer.alpha, packed.alpha));
  TERN_RETURN_IF_ERROR(upload(ElementType::kF16, layer.rows, layer.mu, packed.mu));
  TERN_RETURN_IF_ERROR(upload(ElementType::kI32, 1, layer.perm, packed.perm));
  TERN_ASSIGN_OR_RETURN(Tensor weight, backend.Allocate(type, layer.rows, layer.cols));
  TERN_RETURN_IF_ERROR(backend.ternary().Unpack(packed, layer.group_size, weight));
  return weight;
}

absl::Status UseTernaryWeight(Backend& backend, LinearKind kind, const TernaryLayer& layer,
                              BlockWeights& weights) {
  const ElementType type = backend.activation_type();
  Tensor weight;
  if (layer.rotation.has_value()) {
    TERN_ASSIGN_OR_RETURN(const RotationFactors back, UploadTransposed(backend, *layer.rotation));
    TERN_ASSIGN_OR_RETURN(weight, StoredWeight(backend, layer, ElementType::kF32));
    TERN_RETURN_IF_ERROR(backend.rotation().RotateRows(weight, back.r1, back.r2, weight));
    TERN_ASSIGN_OR_RETURN(weight, Converted(backend, weight, type));
  } else {
    TERN_ASSIGN_OR_RETURN(weight, StoredWeight(backend, layer, type));
  }
  weights.weight[kind] = weight;
  weights.rounded.erase(kind);
  weights.low_bit.erase(kind);
  return absl::OkStatus();
}

absl::Status UseLowBitLayer(Backend& backend, LinearKind kind, const TernaryLayer& layer, int bits,
                            double clip, BlockWeights& weights) {
  LowBitInput input{.rotation = {}, .bits = bits, .clip = clip};
  if (layer.rotation.has_value()) {
    TERN_ASSIGN_OR_RETURN(input.rotation, UploadRotation(backend, *layer.rotation));
  }
  TERN_ASSIGN_OR_RETURN(weights.weight[kind],
                        StoredWeight(backend, layer, backend.activation_type()));
  weights.rounded.erase(kind);
  weights.low_bit[kind] = std::move(input);
  return absl::OkStatus();
}

void SetActivations(const BlockActivations& activations, BlockWeights& weights) {
  for (const LinearKind kind : LinearKinds()) {
    LowBitInput& input = weights.low_bit.at(kind);
    input.bits = activations.bits;
    input.clip = activations.clip.at(kind);
  }
}

}  // namespace tern
