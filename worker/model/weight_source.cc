#include "worker/model/weight_source.h"

#include <cassert>
#include <span>
#include <utility>

#include "checkpoint/status_macros.h"
#include "checkpoint/tensor_values.h"

namespace tern {
namespace {

// `activations` are those of all blocks, or none.
absl::Status UseTernaryWeights(Backend& backend, const BlockLayers& layers,
                               const std::vector<BlockActivations>& activations, int64_t block,
                               BlockWeights& weights) {
  for (const auto& [kind, layer] : layers) {
    if (activations.empty()) {
      TERN_RETURN_IF_ERROR(UseTernaryWeight(backend, kind, layer, weights));
    } else {
      const BlockActivations& of_block = activations[block];
      TERN_RETURN_IF_ERROR(
          UseLowBitLayer(backend, kind, layer, of_block.bits, of_block.clip.at(kind), weights));
    }
  }
  return absl::OkStatus();
}

class FullPrecisionSource : public WeightSource {
 public:
  explicit FullPrecisionSource(const ModelFolder& model) : model_(model) {}

  const ModelConfig& config() const override { return model_.config(); }

  absl::StatusOr<BlockWeights> Block(Backend& backend, int64_t block) const override {
    return LoadBlock(backend, model_, block);
  }

  absl::StatusOr<TensorView> Outer(absl::string_view name) const override {
    return model_.Get(name);
  }

 private:
  const ModelFolder& model_;
};

class QuantizedSource : public WeightSource {
 public:
  QuantizedSource(const ModelFolder& model, LayerSource layers,
                  std::vector<BlockActivations> activations)
      : model_(model), layers_(std::move(layers)), activations_(std::move(activations)) {
    assert(activations_.empty() ||
           static_cast<int64_t>(activations_.size()) == model_.config().num_blocks);
  }

  const ModelConfig& config() const override { return model_.config(); }

  absl::StatusOr<BlockWeights> Block(Backend& backend, int64_t block) const override {
    TERN_ASSIGN_OR_RETURN(const BlockLayers layers, layers_(block));
    TERN_ASSIGN_OR_RETURN(BlockWeights weights,
                          LoadNormsAndBiases(backend, model_.config(), block,
                                             [&](absl::string_view name, std::span<float> out) {
                                               return model_.ReadFloat(name, out);
                                             }));
    TERN_RETURN_IF_ERROR(UseTernaryWeights(backend, layers, activations_, block, weights));
    return weights;
  }

  absl::StatusOr<TensorView> Outer(absl::string_view name) const override {
    return model_.Get(name);
  }

 private:
  const ModelFolder& model_;
  const LayerSource layers_;
  const std::vector<BlockActivations> activations_;
};

class PackedSource : public WeightSource {
 public:
  PackedSource(const PackedCheckpoint& checkpoint, std::unique_ptr<SafetensorsReader> outer)
      : checkpoint_(checkpoint), outer_(std::move(outer)) {}

  const ModelConfig& config() const override { return checkpoint_.config(); }

  absl::StatusOr<BlockWeights> Block(Backend& backend, int64_t block) const override {
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsReader> file,
                          checkpoint_.OpenBlock(block));
    TERN_ASSIGN_OR_RETURN(const BlockLayers layers,
                          ReadBlockLayers(*file, config(), checkpoint_.format(), block));
    TERN_ASSIGN_OR_RETURN(
        BlockWeights weights,
        LoadNormsAndBiases(backend, config(), block,
                           [&](absl::string_view name, std::span<float> out) -> absl::Status {
                             TERN_ASSIGN_OR_RETURN(const TensorView tensor, file->Get(name));
                             return ReadFloat(tensor, out);
                           }));
    TERN_RETURN_IF_ERROR(
        UseTernaryWeights(backend, layers, checkpoint_.format().activations, block, weights));
    return weights;
  }

  absl::StatusOr<TensorView> Outer(absl::string_view name) const override {
    return outer_->Get(name);
  }

 private:
  const PackedCheckpoint& checkpoint_;
  std::unique_ptr<SafetensorsReader> outer_;
};

}  // namespace

std::unique_ptr<WeightSource> FullPrecisionWeights(const ModelFolder& model) {
  return std::make_unique<FullPrecisionSource>(model);
}

std::unique_ptr<WeightSource> QuantizedWeights(const ModelFolder& model, LayerSource layers,
                                               std::vector<BlockActivations> activations) {
  return std::make_unique<QuantizedSource>(model, std::move(layers), std::move(activations));
}

absl::StatusOr<std::unique_ptr<WeightSource>> PackedWeights(const PackedCheckpoint& checkpoint) {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsReader> outer, checkpoint.OpenUnquantized());
  for (const ExpectedTensor& expected : OuterTensors(checkpoint.config())) {
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, outer->Get(expected.name));
    TERN_RETURN_IF_ERROR(CheckWeight(tensor, expected));
  }
  return std::make_unique<PackedSource>(checkpoint, std::move(outer));
}

}  // namespace tern
