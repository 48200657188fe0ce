#ifndef TERN_TESTS_UNIT_MODEL_DEMO_MODEL_H_
#define TERN_TESTS_UNIT_MODEL_DEMO_MODEL_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/block_file.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/trits.h"
#include "tests/shared_data.h"
#include "tests/test_backend.h"
#include "worker/model/weight_source.h"

namespace tern {

inline std::unique_ptr<ModelFolder> OpenModel(const std::string& path) {
  auto model = ModelFolder::Open(path);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

inline std::unique_ptr<ModelFolder> OpenDemo() { return OpenModel(DataPath("demo-llama")); }

// The elements of a tensor of a safetensors file.
template <typename T>
std::vector<T> ReadElements(const std::string& path, const std::string& tensor) {
  const auto file = SafetensorsReader::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  const auto view = (*file)->Get(tensor);
  EXPECT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->bytes.size(), view->elements() * sizeof(T));
  std::vector<T> values(view->elements());
  std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
  return values;
}

// Token ids below `vocab`, the same at every call.
inline std::vector<int32_t> SomeTokens(int64_t count, int64_t vocab) {
  std::vector<int32_t> ids(count);
  for (int64_t i = 0; i < count; ++i) {
    ids[i] = static_cast<int32_t>((i * 7919 + i * i * 31 + 17) % vocab);
  }
  return ids;
}

inline std::vector<float> DownloadFloats(Backend& backend, const Tensor& tensor) {
  std::vector<float> values(tensor.elements());
  EXPECT_TRUE(backend.Download(tensor, values.data()).ok());
  return values;
}

// ‖actual - expected‖ / ‖expected‖
inline double NormalizedError(const std::vector<float>& actual,
                              const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / norm);
}

// A layer of the right shape whose every value is alpha·t + mu with t cycling through -1, 0, 1.
inline TernaryLayer CyclingLayer(const ModelConfig& config, LinearKind kind) {
  const LinearShape shape = ShapeOf(config, kind);
  TernaryLayer layer;
  layer.rows = shape.rows;
  layer.cols = shape.cols;
  layer.group_size = 128;
  std::vector<int8_t> trits(shape.cols);
  std::vector<uint8_t> packed(PackedTritBytes(shape.cols));
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t i = 0; i < shape.cols; ++i) {
      trits[i] = static_cast<int8_t>((i * 5 + row * 11 + i * row) % 3 - 1);
    }
    PackTrits(trits, packed);
    layer.trits.insert(layer.trits.end(), packed.begin(), packed.end());
  }
  layer.alpha.assign(shape.rows * layer.groups(), 0x2c00);  // 0.0625
  layer.mu.assign(shape.rows * layer.groups(), 0x9400);     // about -0.001
  return layer;
}

inline BlockLayers CyclingLayers(const ModelConfig& config) {
  BlockLayers layers;
  for (const LinearKind kind : LinearKinds()) layers[kind] = CyclingLayer(config, kind);
  return layers;
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_MODEL_DEMO_MODEL_H_
