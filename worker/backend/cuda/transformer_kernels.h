#ifndef TERN_WORKER_BACKEND_CUDA_TRANSFORMER_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_TRANSFORMER_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/backend/tensor.h"

namespace tern {

// Launches behind TransformerOps and Backend; matrices are row-major and dense, pointers device
// memory, activations float32 or bf16 by their ElementType. Whether a launch succeeded is asked of
// cudaGetLastError.

void LaunchEmbed(cudaStream_t stream, const float* table, const int32_t* ids, int64_t tokens,
                 int64_t width, float* out);

void LaunchRmsNorm(cudaStream_t stream, const Tensor& x, const float* weight, double eps,
                   const Tensor& out);

// x[tokens, heads·head_dim]; cos and sin are [window_length, head_dim/2].
void LaunchRope(cudaStream_t stream, const float* cos, const float* sin, int64_t window_length,
                int64_t heads, const Tensor& x);

void LaunchSwiGlu(cudaStream_t stream, const Tensor& gate, const Tensor& up, const Tensor& out);

// y[t,n] += bias[n].
void LaunchAddBias(cudaStream_t stream, const float* bias, const Tensor& y);

void LaunchConvert(cudaStream_t stream, const Tensor& from, const Tensor& to);

void LaunchScale(cudaStream_t stream, float factor, int64_t count, float* values);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_TRANSFORMER_KERNELS_H_
