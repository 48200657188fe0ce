#include "checkpoint/ternary_layer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/trits.h"

namespace tern {
namespace {

absl::Status Corrupt(const SafetensorsReader& file, absl::string_view tensor,
                     absl::string_view what) {
  return absl::DataLossError(absl::StrCat(file.path(), ": ", tensor, ": ", what));
}

absl::StatusOr<TensorView> GetChecked(const SafetensorsReader& file, const std::string& name,
                                      DType dtype, const std::vector<int64_t>& shape) {
  absl::StatusOr<TensorView> tensor = file.Get(name);
  if (!tensor.ok()) return Corrupt(file, name, "missing");
  if (tensor->dtype != dtype) {
    return Corrupt(
        file, name,
        absl::StrCat("dtype ", DTypeName(tensor->dtype), " instead of ", DTypeName(dtype)));
  }
  if (tensor->shape != shape) {
    return Corrupt(
        file, name,
        absl::StrCat("shape ", ShapeString(tensor->shape), " instead of ", ShapeString(shape)));
  }
  return tensor;
}

template <typename T>
std::vector<T> CopyOf(const TensorView& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

template <typename T>
std::span<const uint8_t> BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)};
}

absl::StatusOr<std::vector<uint16_t>> ReadHalves(const SafetensorsReader& file,
                                                 const std::string& name, int64_t rows,
                                                 int64_t cols) {
  TERN_ASSIGN_OR_RETURN(const TensorView tensor, GetChecked(file, name, DType::kF16, {rows, cols}));
  std::vector<uint16_t> values = CopyOf<uint16_t>(tensor);
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](uint16_t half) { return (half & 0x7c00) == 0x7c00; });
  if (bad != values.end()) {
    return Corrupt(file, name, absl::StrCat(HalfToFloat(*bad), " at index ", bad - values.begin()));
  }
  return values;
}

absl::StatusOr<std::vector<uint8_t>> ReadTrits(const SafetensorsReader& file,
                                               const std::string& name, int64_t rows,
                                               int64_t cols) {
  const int64_t row_bytes = PackedTritBytes(cols);
  TERN_ASSIGN_OR_RETURN(const TensorView tensor,
                        GetChecked(file, name, DType::kU8, {rows, row_bytes}));
  for (int64_t row = 0; row < rows; ++row) {
    if (!AreValidTrits(tensor.bytes.subspan(row * row_bytes, row_bytes), cols)) {
      return Corrupt(file, name, absl::StrCat("row ", row, " holds a byte that is no five trits"));
    }
  }
  return CopyOf<uint8_t>(tensor);
}

absl::StatusOr<std::vector<int32_t>> ReadPermutation(const SafetensorsReader& file,
                                                     const std::string& name, int64_t cols) {
  TERN_ASSIGN_OR_RETURN(const TensorView tensor, GetChecked(file, name, DType::kI32, {cols}));
  std::vector<int32_t> perm = CopyOf<int32_t>(tensor);
  std::vector<bool> taken(perm.size(), false);
  for (const int32_t column : perm) {
    if (column < 0 || column >= cols || taken[column]) {
      return Corrupt(file, name,
                     absl::StrCat("not a permutation: column ", column, " of ", cols,
                                  column < 0 || column >= cols ? " does not exist" : " twice"));
    }
    taken[column] = true;
  }
  return perm;
}

absl::StatusOr<std::vector<uint16_t>> ReadFactor(const SafetensorsReader& file,
                                                 const std::string& name, int64_t n) {
  TERN_ASSIGN_OR_RETURN(std::vector<uint16_t> factor, ReadHalves(file, name, n, n));
  const double error = OrthogonalityError(factor, n);
  if (error > kOrthogonalityTolerance) {
    return Corrupt(file, name,
                   absl::StrCat("not orthogonal: its product with its transpose is ", error,
                                " from the identity, more than ", kOrthogonalityTolerance));
  }
  return factor;
}

}  // namespace

int64_t TernaryLayer::stored_bytes() const {
  return static_cast<int64_t>(BytesOf(trits).size() + BytesOf(alpha).size() + BytesOf(mu).size() +
                              BytesOf(perm).size()) +
         (rotation.has_value() ? rotation->stored_bytes() : 0);
}

void DequantizeStoredRows(const TernaryLayer& layer, int64_t first, int64_t count,
                          std::span<float> out) {
  assert(out.size() == static_cast<size_t>(count * layer.cols));
  const int64_t row_bytes = PackedTritBytes(layer.cols);
  const int64_t groups = layer.groups();
  std::vector<int8_t> trits(static_cast<size_t>(layer.cols));
  for (int64_t row = first; row < first + count; ++row) {
    UnpackTrits(std::span(layer.trits).subspan(row * row_bytes, row_bytes), trits);
    float* const values = out.data() + (row - first) * layer.cols;
    for (int64_t group = 0; group < groups; ++group) {
      const float alpha = HalfToFloat(layer.alpha[row * groups + group]);
      const float mu = HalfToFloat(layer.mu[row * groups + group]);
      const std::array<float, 3> levels = {mu - alpha, mu, mu + alpha};
      const int64_t begin = group * layer.group_size;
      const int64_t end = std::min(begin + layer.group_size, layer.cols);
      if (layer.perm.empty()) {
        for (int64_t c = begin; c < end; ++c) values[c] = levels[trits[c] + 1];
      } else {
        for (int64_t c = begin; c < end; ++c) values[layer.perm[c]] = levels[trits[c] + 1];
      }
    }
  }
}

void Dequantize(const TernaryLayer& layer, std::span<float> out) {
  DequantizeStoredRows(layer, 0, layer.rows, out);
  if (layer.rotation.has_value()) RotationFold(*layer.rotation).Apply(out);
}

LayerParts PartsOf(const TernaryLayer& layer) {
  return {.permuted = !layer.perm.empty(), .rotated = layer.rotation.has_value()};
}

std::vector<std::string> LayerTensors(const std::string& name, const LayerParts& parts) {
  std::vector<std::string> tensors = {absl::StrCat(name, ".trits"), absl::StrCat(name, ".alpha"),
                                      absl::StrCat(name, ".mu")};
  if (parts.permuted) tensors.push_back(absl::StrCat(name, ".perm"));
  for (std::string& factor : RotationTensors(name, parts)) tensors.push_back(std::move(factor));
  return tensors;
}

std::vector<std::string> RotationTensors(const std::string& name, const LayerParts& parts) {
  if (!parts.rotated) return {};
  return {absl::StrCat(name, ".rot1"), absl::StrCat(name, ".rot2")};
}

void AppendTensors(const std::string& name, const TernaryLayer& layer,
                   std::vector<TensorToWrite>& tensors) {
  tensors.push_back({absl::StrCat(name, ".trits"),
                     DType::kU8,
                     {layer.rows, PackedTritBytes(layer.cols)},
                     BytesOf(layer.trits)});
  tensors.push_back({absl::StrCat(name, ".alpha"),
                     DType::kF16,
                     {layer.rows, layer.groups()},
                     BytesOf(layer.alpha)});
  tensors.push_back(
      {absl::StrCat(name, ".mu"), DType::kF16, {layer.rows, layer.groups()}, BytesOf(layer.mu)});
  if (!layer.perm.empty()) {
    tensors.push_back(
        {absl::StrCat(name, ".perm"), DType::kI32, {layer.cols}, BytesOf(layer.perm)});
  }
  if (layer.rotation.has_value()) AppendRotation(name, *layer.rotation, tensors);
}

void AppendRotation(const std::string& name, const StoredRotation& rotation,
                    std::vector<TensorToWrite>& tensors) {
  const auto& [shape, r1, r2] = rotation;
  tensors.push_back({absl::StrCat(name, ".rot1"), DType::kF16, {shape.n1, shape.n1}, BytesOf(r1)});
  tensors.push_back({absl::StrCat(name, ".rot2"), DType::kF16, {shape.n2, shape.n2}, BytesOf(r2)});
}

absl::StatusOr<StoredRotation> ReadRotation(const SafetensorsReader& file, const std::string& name,
                                            const RotationShape& shape) {
  StoredRotation rotation;
  rotation.shape = shape;
  TERN_ASSIGN_OR_RETURN(rotation.r1, ReadFactor(file, absl::StrCat(name, ".rot1"), shape.n1));
  TERN_ASSIGN_OR_RETURN(rotation.r2, ReadFactor(file, absl::StrCat(name, ".rot2"), shape.n2));
  return rotation;
}

absl::StatusOr<TernaryLayer> ReadTernaryLayer(const SafetensorsReader& file,
                                              const std::string& name, int64_t rows, int64_t cols,
                                              int64_t group_size,
                                              const std::optional<RotationShape>& rotation) {
  TernaryLayer layer;
  layer.rows = rows;
  layer.cols = cols;
  layer.group_size = group_size;
  TERN_ASSIGN_OR_RETURN(layer.trits, ReadTrits(file, absl::StrCat(name, ".trits"), rows, cols));
  TERN_ASSIGN_OR_RETURN(layer.alpha,
                        ReadHalves(file, absl::StrCat(name, ".alpha"), rows, layer.groups()));
  TERN_ASSIGN_OR_RETURN(layer.mu,
                        ReadHalves(file, absl::StrCat(name, ".mu"), rows, layer.groups()));
  if (const std::string perm = absl::StrCat(name, ".perm"); file.Has(perm)) {
    TERN_ASSIGN_OR_RETURN(layer.perm, ReadPermutation(file, perm, cols));
  }
  if (rotation.has_value()) {
    TERN_ASSIGN_OR_RETURN(layer.rotation, ReadRotation(file, name, *rotation));
  }
  return layer;
}

}  // namespace tern
