#ifndef TERN_WORKER_BACKEND_CUDA_ACTIVATION_CUH_
#define TERN_WORKER_BACKEND_CUDA_ACTIVATION_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace tern {

// Activations are float or __nv_bfloat16, for a while scaled __half (scaled_rows.h); arithmetic on
// them is float32.

__device__ inline float Load(const float* from) { return *from; }
__device__ inline float Load(const __nv_bfloat16* from) { return __bfloat162float(*from); }
__device__ inline float Load(const __half* from) { return __half2float(*from); }
__device__ inline void Store(float value, float* to) { *to = value; }
__device__ inline void Store(float value, __nv_bfloat16* to) { *to = __float2bfloat16_rn(value); }
__device__ inline void Store(float value, __half* to) { *to = __float2half_rn(value); }

// kVector neighbours at once: 16 bytes of bf16 and fp16, 32 of float. `from` and `to` are 16-byte
// aligned.
inline constexpr int kVector = 8;

__device__ inline void LoadVector(const float* from, float (&values)[kVector]) {
  *reinterpret_cast<float4*>(values) = reinterpret_cast<const float4*>(from)[0];
  *reinterpret_cast<float4*>(values + 4) = reinterpret_cast<const float4*>(from)[1];
}

__device__ inline void LoadVector(const __nv_bfloat16* from, float (&values)[kVector]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = __uint_as_float(words[i] << 16);
    values[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}

__device__ inline void LoadVector(const __half* from, float (&values)[kVector]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  const auto* pairs = reinterpret_cast<const __half2*>(&bits);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __half22float2(pairs[i]);
    values[2 * i] = pair.x;
    values[2 * i + 1] = pair.y;
  }
}

__device__ inline void StoreVector(const float (&values)[kVector], float* to) {
  reinterpret_cast<float4*>(to)[0] = make_float4(values[0], values[1], values[2], values[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(values[4], values[5], values[6], values[7]);
}

__device__ inline void StoreVector(const float (&values)[kVector], __nv_bfloat16* to) {
  __nv_bfloat162 pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(values[2 * i], values[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
}

__device__ inline void StoreVector(const float (&values)[kVector], __half* to) {
  __half2 pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(values[2 * i], values[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
}

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_ACTIVATION_CUH_
