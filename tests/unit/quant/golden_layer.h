#ifndef TERN_TESTS_UNIT_QUANT_GOLDEN_LAYER_H_
#define TERN_TESTS_UNIT_QUANT_GOLDEN_LAYER_H_

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/safetensors_reader.h"
#include "tests/shared_data.h"
#include "tests/unit/backend_ternary/matrix.h"

namespace tern {

// One of golden/pt2-*.safetensors or twla-*.safetensors: a layer and what the authors' arithmetic,
// in float32 on a GPU, made of it. Its grids and rotations are float32, never rounded to fp16.
class GoldenLayer {
 public:
  explicit GoldenLayer(const std::string& name)
      : file_(SafetensorsReader::Open(SharedPath("golden/" + name + ".safetensors")).value()) {}

  // A vector becomes one row.
  Matrix Get(const std::string& tensor) const {
    const TensorView view = file_->Get(tensor).value();
    std::vector<float> values(view.elements());
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    const int64_t rows = view.shape.size() == 1 ? 1 : view.shape[0];
    return Matrix(rows, view.shape.back(), std::vector<double>(values.begin(), values.end()));
  }

  std::vector<int32_t> Integers(const std::string& tensor) const {
    const TensorView view = file_->Get(tensor).value();
    std::vector<int32_t> values(view.elements());
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
  }

 private:
  std::unique_ptr<SafetensorsReader> file_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_QUANT_GOLDEN_LAYER_H_
