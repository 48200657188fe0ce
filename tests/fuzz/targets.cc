#include "tests/fuzz/targets.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/tensor_values.h"
#include "checkpoint/ternary_layer.h"

namespace tern {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

std::string Text(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

void FuzzSafetensors(std::span<const uint8_t> input) {
  const auto reader = SafetensorsReader::Parse(input, "input");
  if (!reader.ok()) return;
  int64_t bytes = 0;
  for (const auto& [name, tensor] : (*reader)->tensors()) {
    Require(tensor.elements() * DTypeSize(tensor.dtype) ==
            static_cast<int64_t>(tensor.bytes.size()));
    Require((*reader)->Get(name).ok());
    bytes += static_cast<int64_t>(tensor.bytes.size());
    if (!IsWeightDType(tensor.dtype)) continue;
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    ReadFloat(tensor, values).IgnoreError();
  }
  Require(bytes == (*reader)->data_bytes() && bytes <= static_cast<int64_t>(input.size()));
}

void FuzzConfig(std::span<const uint8_t> input) {
  const std::string text = Text(input);
  ParsePackedConfig(text).status().IgnoreError();
  const auto config = ParseModelConfig(text);
  if (!config.ok()) return;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(*config, kind);
    Require(shape.rows > 0 && shape.cols > 0 && shape.rows < INT64_MAX / shape.cols / 8);
  }
  Require(config->sliding_window.size() == static_cast<size_t>(config->num_blocks));
  Require(config->num_heads % config->num_kv_heads == 0 && config->head_dim % 2 == 0);
  PackedFormat format = {"pt2llm", 128, true};
  for (const bool rotated : {false, true}) {
    if (rotated) format.rotation.emplace();
    const auto packed = PackedConfigJson(text, format);
    Require(packed.ok() && ParsePackedConfig(*packed).ok());
  }
}

void FuzzPackedLayer(std::span<const uint8_t> input) {
  const auto zero = std::find(input.begin(), input.end(), 0);
  const size_t text_size = static_cast<size_t>(zero - input.begin());
  const auto manifest = ParseManifest(Text(input.first(text_size)));
  if (manifest.ok()) Require(ParseManifest(ManifestJson(*manifest)).ok());
  if (zero == input.end()) return;

  const auto reader = SafetensorsReader::Parse(input.subspan(text_size + 1), "input");
  if (!reader.ok()) return;
  const auto trits = (*reader)->Get("layer.trits");
  const auto alpha = (*reader)->Get("layer.alpha");
  if (!trits.ok() || !alpha.ok() || trits->shape.size() != 2 || alpha->shape.size() != 2) return;
  // The caller knows rows and columns from config.json; here all that fit the trits are tried.
  const int64_t rows = trits->shape[0];
  for (int64_t padding = 0; padding < 5; ++padding) {
    const int64_t cols = trits->shape[1] * 5 - padding;
    const int64_t groups = alpha->shape[1];
    if (cols <= 0 || groups <= 0 || rows > (1 << 12) || cols > (1 << 12)) continue;
    const int64_t group_size = (cols + groups - 1) / groups;
    std::optional<RotationShape> rotation;
    if (const auto factor = (*reader)->Get("layer.rot1"); factor.ok() && !factor->shape.empty()) {
      const int64_t n1 = factor->shape[0];
      if (n1 > 0 && cols % n1 == 0) rotation = {.n1 = n1, .n2 = cols / n1};
    }
    const auto layer = ReadTernaryLayer(**reader, "layer", rows, cols, group_size, rotation);
    if (!layer.ok()) continue;
    std::vector<float> weights(static_cast<size_t>(rows * cols));
    Dequantize(*layer, weights);
  }
}

}  // namespace tern
