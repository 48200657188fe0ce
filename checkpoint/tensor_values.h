#ifndef TERN_CHECKPOINT_TENSOR_VALUES_H_
#define TERN_CHECKPOINT_TENSOR_VALUES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/safetensors_reader.h"

namespace tern {

// Converts a BF16, F16 or F32 tensor to float32 into `out` (exactly its element count). A NaN or
// infinity is INVALID_ARGUMENT naming tensor and index, as is another dtype.
absl::Status ReadFloat(const TensorView& tensor, std::span<float> out);

// Checks that a tensor has a weight's dtype and the shape config.json implies. INVALID_ARGUMENT.
absl::Status CheckWeight(const TensorView& tensor, const ExpectedTensor& expected);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TENSOR_VALUES_H_
