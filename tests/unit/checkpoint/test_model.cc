#include "tests/unit/checkpoint/test_model.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <stdexcept>

#include "checkpoint/atomic_file.h"
#include "checkpoint/digest.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/trits.h"

namespace tern {
namespace {

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

void AppendNarrow(float value, DType dtype, std::vector<uint8_t>& bytes) {
  uint8_t buffer[4];
  if (dtype == DType::kF32) {
    std::memcpy(buffer, &value, 4);
  } else {
    const uint16_t narrow = dtype == DType::kBF16 ? FloatToBf16(value) : FloatToHalf(value);
    std::memcpy(buffer, &narrow, 2);
  }
  bytes.insert(bytes.end(), buffer, buffer + DTypeSize(dtype));
}

void WriteThrough(const std::string& path,
                  const std::function<absl::Status(const ByteSink&)>& write) {
  auto file = AtomicFileWriter::Open(path);
  Require(file.status());
  Require(write([&](std::span<const uint8_t> piece) { return (*file)->Append(piece); }));
  Require((*file)->Commit());
}

}  // namespace

std::string SmallConfigJson(const std::string& overrides) {
  nlohmann::json config = {{"architectures", {"LlamaForCausalLM"}},
                           {"hidden_size", 8},
                           {"intermediate_size", 12},
                           {"num_hidden_layers", 2},
                           {"num_attention_heads", 2},
                           {"num_key_value_heads", 1},
                           {"vocab_size", 16},
                           {"max_position_embeddings", 64},
                           {"rms_norm_eps", 1e-5},
                           {"hidden_act", "silu"},
                           {"torch_dtype", "bfloat16"}};
  config.merge_patch(nlohmann::json::parse(overrides));
  return config.dump(2);
}

OwnedTensors RandomWeights(const ModelConfig& config, DType dtype) {
  std::vector<ExpectedTensor> expected = OuterTensors(config);
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    const std::vector<ExpectedTensor> tensors = BlockTensors(config, block);
    expected.insert(expected.end(), tensors.begin(), tensors.end());
  }
  std::mt19937 random(1);
  OwnedTensors weights;
  for (const ExpectedTensor& tensor : expected) {
    OwnedTensor& owned = weights[tensor.name];
    owned.dtype = dtype;
    owned.shape = tensor.shape;
    const int64_t count =
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
    for (int64_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31F;
      AppendNarrow(value, dtype, owned.bytes);
    }
  }
  return weights;
}

void WriteTensors(const std::string& path, const OwnedTensors& tensors) {
  std::vector<TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) {
    list.push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
  }
  Require(WriteSafetensorsFile(path, list, {}));
}

void WriteText(const std::string& path, const std::string& text) {
  Require(WriteFileAtomically(path, text));
}

void WriteModel(const std::string& folder, const std::string& config_json, DType dtype) {
  std::filesystem::create_directories(folder);
  const auto config = ParseModelConfig(config_json);
  Require(config.status());
  WriteText(folder + "/config.json", config_json);
  WriteText(folder + "/tokenizer.json", "{\"version\": \"1.0\"}\n");
  WriteTensors(folder + "/model.safetensors", RandomWeights(*config, dtype));
}

TernaryLayer RandomLayer(int64_t rows, int64_t cols, int64_t group_size, bool permuted,
                         uint32_t seed) {
  std::mt19937 random(seed);
  TernaryLayer layer;
  layer.rows = rows;
  layer.cols = cols;
  layer.group_size = group_size;
  const int64_t row_bytes = PackedTritBytes(cols);
  layer.trits.resize(rows * row_bytes);
  std::vector<int8_t> trits(cols);
  for (int64_t row = 0; row < rows; ++row) {
    for (int8_t& trit : trits) trit = static_cast<int8_t>(random() % 3) - 1;
    PackTrits(trits, std::span(layer.trits).subspan(row * row_bytes, row_bytes));
  }
  for (int64_t i = 0; i < rows * layer.groups(); ++i) {
    layer.alpha.push_back(FloatToHalf(0.25F + static_cast<float>(random() % 1000) / 1000.0F));
    layer.mu.push_back(FloatToHalf(static_cast<float>(random() % 1000) / 5000.0F - 0.1F));
  }
  if (permuted) {
    layer.perm.resize(cols);
    std::iota(layer.perm.begin(), layer.perm.end(), 0);
    for (size_t i = layer.perm.size(); i > 1; --i) {
      std::swap(layer.perm[i - 1], layer.perm[random() % i]);
    }
  }
  return layer;
}

namespace {

// Random rows, each made orthogonal to those before it (Gram-Schmidt, twice for accuracy).
std::vector<uint16_t> RandomFactor(int64_t n, std::mt19937& random) {
  std::vector<double> rows(n * n);
  const auto dot = [&](int64_t a, int64_t b) {
    return std::inner_product(rows.begin() + a * n, rows.begin() + (a + 1) * n,
                              rows.begin() + b * n, 0.0);
  };
  std::normal_distribution<double> normal;
  for (double& value : rows) value = normal(random);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < 2 * i; ++j) {
      const double along = dot(i, j % i);
      for (int64_t k = 0; k < n; ++k) rows[i * n + k] -= along * rows[j % i * n + k];
    }
    const double length = std::sqrt(dot(i, i));
    for (int64_t k = 0; k < n; ++k) rows[i * n + k] /= length;
  }
  std::vector<uint16_t> factor;
  for (const double value : rows) factor.push_back(FloatToHalf(static_cast<float>(value)));
  return factor;
}

}  // namespace

StoredRotation RandomRotation(const RotationShape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  StoredRotation rotation{.shape = shape, .r1 = {}, .r2 = {}};
  rotation.r1 = RandomFactor(shape.n1, random);
  rotation.r2 = RandomFactor(shape.n2, random);
  return rotation;
}

std::vector<BlockActivations> SomeActivations(int64_t blocks) {
  std::vector<BlockActivations> activations(blocks);
  for (int64_t block = 0; block < blocks; ++block) {
    activations[block].bits = kActivationBits[block % kActivationBits.size()];
    for (const LinearKind kind : LinearKinds()) {
      activations[block].clip[kind] =
          1.0 - 0.05 * static_cast<double>(block + (kind == LinearKind::kO));
    }
  }
  return activations;
}

BlockLayers RandomLayers(const ModelConfig& config, const PackedFormat& format, int64_t block) {
  BlockLayers layers;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(config, kind);
    const uint32_t seed = static_cast<uint32_t>(block * 7 + static_cast<int64_t>(kind) + 1);
    TernaryLayer& layer = layers[kind];
    layer = RandomLayer(shape.rows, shape.cols, format.group_size, format.permuted, seed);
    const auto rotation = format.RotationOf(shape);
    if (rotation.has_value()) layer.rotation = RandomRotation(*rotation, seed);
  }
  return layers;
}

void WritePacked(const ModelFolder& model, const PackedFormat& format, const std::string& folder) {
  std::filesystem::create_directories(folder);
  for (int64_t block = 0; block < model.config().num_blocks; ++block) {
    const BlockLayers layers = RandomLayers(model.config(), format, block);
    WriteThrough(folder + "/" + BlockFileName(block),
                 [&](const ByteSink& sink) { return WriteBlockFile(model, block, layers, sink); });
  }
  WriteThrough(folder + "/" + kUnquantizedFile,
               [&](const ByteSink& sink) { return WriteUnquantizedFile(model, sink); });
  const auto config = PackedConfigJson(model.config_json(), format);
  Require(config.status());
  WriteText(folder + "/" + kConfigFile, *config);
  const auto index = PackedIndexJson(model, format);
  Require(index.status());
  WriteText(folder + "/" + kIndexFile, *index);
  for (const std::string& name : model.CompanionFiles()) {
    std::filesystem::copy_file(model.path() + "/" + name, folder + "/" + name);
  }
  RenewManifest(folder);
}

void RenewManifest(const std::string& folder) {
  std::map<std::string, FileDigest> manifest;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == kManifestFile || name == kReportFile) continue;
    const auto digest = DigestFile(entry.path().string());
    Require(digest.status());
    manifest[name] = *digest;
  }
  WriteText(folder + "/" + kManifestFile, ManifestJson(manifest));
}

}  // namespace tern
