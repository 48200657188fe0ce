#ifndef TERN_WORKER_BACKEND_CUDA_SPLIT_TF32_H_
#define TERN_WORKER_BACKEND_CUDA_SPLIT_TF32_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tern {

// A float32 product as one of TF32 operands three times as deep: with every value the sum of a
// high and a low part of 10 bits each, a·b ≈ [a_hi a_hi a_lo]·[b_hi; b_lo; b_hi]. What is left out
// is 2⁻²² of a product, and the matrix units make it several times as fast. The parts lie in
// buffers of their own:
//   left[m,3k]  of a[m,k]: high, high, low beside each other;
//   right[3k,n] of b[k,n]: high, low, high below each other.
// Parts of several products that are added up may lie beside, and below, one another.
void LaunchSplitLeft(cudaStream_t stream, const float* a, int64_t rows, int64_t k, float factor,
                     float* left, int64_t stride);
void LaunchSplitRight(cudaStream_t stream, const float* b, int64_t k, int64_t columns,
                      float* right);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_SPLIT_TF32_H_
