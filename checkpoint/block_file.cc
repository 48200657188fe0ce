#include "checkpoint/block_file.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tensor_values.h"
#include "checkpoint/trits.h"

namespace tern {
namespace {

// What Hugging Face's loaders look for before they read a file.
const std::map<std::string, std::string>& FileMetadata() {
  static const auto& metadata = *new std::map<std::string, std::string>{{"format", "pt"}};
  return metadata;
}

bool IsSized(const StoredRotation& rotation, int64_t cols) {
  const auto& [n1, n2] = rotation.shape;
  return n1 > 0 && n2 > 0 && n1 * n2 == cols &&
         rotation.r1.size() == static_cast<size_t>(n1 * n1) &&
         rotation.r2.size() == static_cast<size_t>(n2 * n2);
}

absl::Status CheckLayer(const std::string& name, const LinearShape& shape,
                        const TernaryLayer& layer) {
  if (layer.rows != shape.rows || layer.cols != shape.cols) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": quantized as ", ShapeString(std::vector<int64_t>{layer.rows, layer.cols}),
        " but config.json implies ", ShapeString(std::vector<int64_t>{shape.rows, shape.cols})));
  }
  const size_t grid = static_cast<size_t>(layer.rows * layer.groups());
  const bool sized =
      layer.trits.size() == static_cast<size_t>(layer.rows * PackedTritBytes(layer.cols)) &&
      layer.alpha.size() == grid && layer.mu.size() == grid &&
      (layer.perm.empty() || layer.perm.size() == static_cast<size_t>(layer.cols));
  if (!sized) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": its trits, alpha, mu or perm are not of its shape's size"));
  }
  if (layer.rotation.has_value() && !IsSized(*layer.rotation, layer.cols)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": the factors of its rotation are not those of rows of ", layer.cols));
  }
  return absl::OkStatus();
}

absl::Status AppendUnquantized(const ModelFolder& model,
                               const std::vector<ExpectedTensor>& expected,
                               std::vector<TensorToWrite>& tensors) {
  for (const ExpectedTensor& wanted : expected) {
    TERN_ASSIGN_OR_RETURN(TensorView tensor, model.Get(wanted.name));
    tensors.push_back({wanted.name, tensor.dtype, std::move(tensor.shape), tensor.bytes});
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> BlockFileTensors(const ModelConfig& config, const PackedFormat& format,
                                          int64_t block) {
  std::vector<std::string> names;
  for (const LinearKind kind : LinearKinds()) {
    for (std::string& name : LayerTensors(LinearName(block, kind), format.parts())) {
      names.push_back(std::move(name));
    }
  }
  for (ExpectedTensor& tensor : UnquantizedBlockTensors(config, block)) {
    names.push_back(std::move(tensor.name));
  }
  return names;
}

absl::Status WriteBlockFile(const ModelFolder& model, int64_t block, const BlockLayers& layers,
                            const ByteSink& sink) {
  std::vector<TensorToWrite> tensors;
  for (const LinearKind kind : LinearKinds()) {
    const std::string name = LinearName(block, kind);
    const auto layer = layers.find(kind);
    if (layer == layers.end()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": not among the block's layers"));
    }
    TERN_RETURN_IF_ERROR(CheckLayer(name, ShapeOf(model.config(), kind), layer->second));
    const LayerParts parts = PartsOf(layer->second);
    const LayerParts others = PartsOf(layers.begin()->second);
    if (parts.permuted != others.permuted) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": either all layers of a block are permuted or none"));
    }
    if (parts.rotated != others.rotated) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": either all layers of a block are rotated or none"));
    }
    AppendTensors(name, layer->second, tensors);
  }
  TERN_RETURN_IF_ERROR(
      AppendUnquantized(model, UnquantizedBlockTensors(model.config(), block), tensors));
  return WriteSafetensors(tensors, FileMetadata(), sink);
}

absl::Status WriteUnquantizedFile(const ModelFolder& model, const ByteSink& sink) {
  std::vector<TensorToWrite> tensors;
  TERN_RETURN_IF_ERROR(AppendUnquantized(model, OuterTensors(model.config()), tensors));
  return WriteSafetensors(tensors, FileMetadata(), sink);
}

absl::Status CheckFileTensors(const SafetensorsReader& file,
                              const std::vector<std::string>& expected) {
  const std::set<std::string, std::less<>> names(expected.begin(), expected.end());
  for (const std::string& name : names) {
    if (!file.Has(name)) {
      return absl::DataLossError(absl::StrCat(file.path(), ": ", name, ": missing"));
    }
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (!names.contains(name)) {
      return absl::DataLossError(absl::StrCat(file.path(), ": ", name, ": does not belong here"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckUnquantized(const SafetensorsReader& file,
                              const std::vector<ExpectedTensor>& expected) {
  for (const ExpectedTensor& wanted : expected) {
    const absl::StatusOr<TensorView> tensor = file.Get(wanted.name);
    const absl::Status status = tensor.ok() ? CheckWeight(*tensor, wanted) : tensor.status();
    if (!status.ok()) return absl::DataLossError(absl::StrCat(file.path(), ": ", status.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<BlockLayers> ReadBlockLayers(const SafetensorsReader& file,
                                            const ModelConfig& config, const PackedFormat& format,
                                            int64_t block) {
  TERN_RETURN_IF_ERROR(CheckFileTensors(file, BlockFileTensors(config, format, block)));
  TERN_RETURN_IF_ERROR(CheckUnquantized(file, UnquantizedBlockTensors(config, block)));
  BlockLayers layers;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(config, kind);
    TERN_ASSIGN_OR_RETURN(TernaryLayer layer,
                          ReadTernaryLayer(file, LinearName(block, kind), shape.rows, shape.cols,
                                           format.group_size, format.RotationOf(shape)));
    layers.emplace(kind, std::move(layer));
  }
  return layers;
}

}  // namespace tern
