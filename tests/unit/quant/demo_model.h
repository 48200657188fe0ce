#ifndef TERN_TESTS_UNIT_QUANT_DEMO_MODEL_H_
#define TERN_TESTS_UNIT_QUANT_DEMO_MODEL_H_

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "checkpoint/model_folder.h"
#include "tests/shared_data.h"
#include "worker/backend/backend.h"
#include "worker/model/weight_source.h"

namespace tern {

// The model of tests/data with a few windows of arbitrary tokens to calibrate on.
struct DemoModel {
  static constexpr int64_t kWindowLength = 64;

  std::unique_ptr<ModelFolder> folder = ModelFolder::Open(DataPath("demo-llama")).value();
  std::unique_ptr<WeightSource> full = FullPrecisionWeights(*folder);

  const ModelConfig& config() const { return folder->config(); }

  // `windows` windows.
  std::vector<int32_t> Tokens(int64_t windows) const {
    std::mt19937 generator(1);
    std::vector<int32_t> ids(windows * kWindowLength);
    for (int32_t& id : ids) {
      id = static_cast<int32_t>(generator() % static_cast<uint64_t>(config().vocab_size));
    }
    return ids;
  }
};

// The elements of a float32 tensor.
inline std::vector<float> Values(Backend& backend, const Tensor& tensor) {
  std::vector<float> values(tensor.elements());
  if (!backend.Download(tensor, values.data()).ok()) values.clear();
  return values;
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_QUANT_DEMO_MODEL_H_
