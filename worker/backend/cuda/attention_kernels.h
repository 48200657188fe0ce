#ifndef TERN_WORKER_BACKEND_CUDA_ATTENTION_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_ATTENTION_KERNELS_H_

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace tern {

inline constexpr int kMaxHeadDim = 256;

struct AttentionSizes {
  int windows;
  int window_length;
  int heads;
  int kv_heads;
  int head_dim;
  int reach;  // position i sees i - reach + 1 … i
};

// What CausalAttention (attention.h) computes, on device pointers; those of bfloat16 are aligned to
// 16 bytes. Enqueues one kernel and returns. cudaErrorNotSupported: head_dim above kMaxHeadDim, or
// with bfloat16 no multiple of 8.
cudaError_t LaunchCausalAttention(cudaStream_t stream, const __nv_bfloat16* q,
                                  const __nv_bfloat16* k, const __nv_bfloat16* v,
                                  const AttentionSizes& sizes, __nv_bfloat16* out);
cudaError_t LaunchCausalAttention(cudaStream_t stream, const float* q, const float* k,
                                  const float* v, const AttentionSizes& sizes, float* out);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_ATTENTION_KERNELS_H_
