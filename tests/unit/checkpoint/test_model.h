#ifndef TERN_TESTS_UNIT_CHECKPOINT_TEST_MODEL_H_
#define TERN_TESTS_UNIT_CHECKPOINT_TEST_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/block_file.h"
#include "checkpoint/dtype.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/packed_checkpoint.h"

namespace tern {

// A small Llama's config.json: hidden 8, intermediate 12, 2 blocks, 2 heads of 4, 1 kv head,
// vocabulary 16. `overrides` is a JSON object merged over it; null removes a field.
std::string SmallConfigJson(const std::string& overrides = "{}");

// Tensors of a safetensors file with bytes of their own.
struct OwnedTensor {
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};
using OwnedTensors = std::map<std::string, OwnedTensor>;

// Every tensor `config` implies, with fixed pseudo-random values in (-1, 1).
OwnedTensors RandomWeights(const ModelConfig& config, DType dtype = DType::kBF16);

void WriteTensors(const std::string& path, const OwnedTensors& tensors);
void WriteText(const std::string& path, const std::string& text);

// config.json, model.safetensors and tokenizer.json.
void WriteModel(const std::string& folder, const std::string& config_json, DType dtype);

// A layer of the shape, with fixed pseudo-random content.
TernaryLayer RandomLayer(int64_t rows, int64_t cols, int64_t group_size, bool permuted,
                         uint32_t seed);

// Orthogonal factors of the shape, rounded to fp16, with fixed pseudo-random content.
StoredRotation RandomRotation(const RotationShape& shape, uint32_t seed);

// The layers of a block in the format, rotated where it is.
BlockLayers RandomLayers(const ModelConfig& config, const PackedFormat& format, int64_t block);

// One entry a block, with widths and clip ratios that differ.
std::vector<BlockActivations> SomeActivations(int64_t blocks);

// Writes a packed checkpoint of the model, complete with manifest.
void WritePacked(const ModelFolder& model, const PackedFormat& format, const std::string& folder);

// Makes the manifest agree with the files again.
void RenewManifest(const std::string& folder);

}  // namespace tern

#endif  // TERN_TESTS_UNIT_CHECKPOINT_TEST_MODEL_H_
