#ifndef TERN_CHECKPOINT_TENSOR_VALUES_H_
#define TERN_CHECKPOINT_TENSOR_VALUES_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/safetensors_reader.h"

namespace tern {

// Converts a BF16, F16 or F32 tensor to float32 into `out` (exactly its element count). A NaN or
// infinity is INVALID_ARGUMENT naming tensor and index, as is another dtype.
absl::Status ReadFloat(const TensorView& tensor, std::span<float> out);

// Checks the values of a tensor from index `first` on. INVALID_ARGUMENT names the tensor and the
// index of a NaN or infinity.
absl::Status CheckFinite(const std::string& tensor, int64_t first, std::span<const float> values);

// Checks that a tensor has a weight's dtype and the shape config.json implies. INVALID_ARGUMENT.
absl::Status CheckWeight(const TensorView& tensor, const ExpectedTensor& expected);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TENSOR_VALUES_H_
