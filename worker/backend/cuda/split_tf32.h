#ifndef TERN_WORKER_BACKEND_CUDA_SPLIT_TF32_H_
#define TERN_WORKER_BACKEND_CUDA_SPLIT_TF32_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tern {

// A value is the sum of a high and a low part of 10 bits of mantissa each (and what is left, 2⁻²²
// of it). Of the three parts written of every element of from[rows,cols], times `factor`, the one
// numbered `low_part` is the low one and the others are the high one. Part p of an element at (r,
// c) goes to to[p·part_offset + r·to_stride + c].
struct SplitLayout {
  int64_t to_stride;
  int64_t part_offset;
  int low_part;
};
void LaunchSplit(cudaStream_t stream, const float* from, int64_t rows, int64_t cols,
                 int64_t from_stride, float factor, const SplitLayout& layout, float* to);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_SPLIT_TF32_H_
