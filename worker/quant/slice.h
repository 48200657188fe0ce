#ifndef TERN_WORKER_QUANT_SLICE_H_
#define TERN_WORKER_QUANT_SLICE_H_

#include <cstdint>

#include "worker/backend/tensor.h"

namespace tern {

// Elements [first, first + rows·cols) of a buffer, as a matrix.
inline Tensor Slice(const Tensor& buffer, int64_t first, int64_t rows, int64_t cols) {
  return buffer.Reshape(buffer.elements(), 1).Rows(first, rows * cols).Reshape(rows, cols);
}

}  // namespace tern

#endif  // TERN_WORKER_QUANT_SLICE_H_
