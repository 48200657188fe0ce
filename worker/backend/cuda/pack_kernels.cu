#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "checkpoint/trits.h"
#include "worker/backend/cuda/grid_kernels.h"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr float kLargestHalf = 65504.0f;

unsigned Blocks(int64_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

__device__ int64_t Index() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

// A NaN stays one.
__device__ float Saturate(float value) {
  return value > kLargestHalf ? kLargestHalf : value < -kLargestHalf ? -kLargestHalf : value;
}

__global__ void RoundToHalfKernel(float* values, int64_t count) {
  const int64_t i = Index();
  if (i < count) values[i] = __half2float(__float2half_rn(Saturate(values[i])));
}

__global__ void GridErrorKernel(const float* w, const int8_t* trits, const float* alpha,
                                const float* mu, int64_t count, int64_t g, float* error) {
  const int64_t i = Index();
  if (i >= count) return;
  const int64_t r = i / g;
  error[i] = w[i] - (alpha[r] * static_cast<float>(trits[i]) + mu[r]);
}

__global__ void PackTritsKernel(const int8_t* trits, int64_t n, int64_t m, int64_t group_size,
                                int64_t row_bytes, uint8_t* packed) {
  const int64_t i = Index();
  if (i >= n * row_bytes) return;
  const int64_t r = i / row_bytes;
  const int64_t first = (i % row_bytes) * kTritsPerByte;
  int value = 0;
  int power = 1;
#pragma unroll
  for (int k = 0; k < kTritsPerByte; ++k, power *= 3) {
    const int64_t c = first + k;
    int trit = 0;
    if (c < m) {
      const int64_t start = c / group_size * group_size;
      const int64_t width = min(group_size, m - start);
      trit = trits[start * n + r * width + c - start];
    }
    value += (trit + 1) * power;
  }
  packed[i] = static_cast<uint8_t>(value);
}

__global__ void PackGridKernel(const float* grid, int64_t n, int64_t groups, uint16_t* packed) {
  const int64_t i = Index();
  if (i >= n * groups) return;
  packed[i] = __half_as_ushort(__float2half_rn(grid[i % groups * n + i / groups]));
}

__device__ void Store(float value, float* out) { *out = value; }
__device__ void Store(float value, __nv_bfloat16* out) { *out = __float2bfloat16_rn(value); }

template <typename T>
__global__ void UnpackKernel(const uint8_t* packed, const uint16_t* alpha, const uint16_t* mu,
                             const int32_t* perm, int64_t n, int64_t m, int64_t group_size,
                             int64_t row_bytes, int64_t groups, T* w) {
  constexpr int kPower[kTritsPerByte] = {1, 3, 9, 27, 81};
  const int64_t i = Index();
  if (i >= n * row_bytes) return;
  const int64_t r = i / row_bytes;
  const int64_t first = (i % row_bytes) * kTritsPerByte;
  const int value = packed[i];
#pragma unroll
  for (int k = 0; k < kTritsPerByte; ++k) {
    const int64_t c = first + k;
    if (c >= m) return;
    const int64_t group = r * groups + c / group_size;
    const auto trit = static_cast<float>(value / kPower[k] % 3 - 1);
    const float level = __half2float(__ushort_as_half(alpha[group]));
    const float centre = __half2float(__ushort_as_half(mu[group]));
    Store(level * trit + centre, w + r * m + (perm == nullptr ? c : perm[c]));
  }
}

}  // namespace

void LaunchRoundToHalf(cudaStream_t stream, float* values, int64_t count) {
  RoundToHalfKernel<<<Blocks(count), kThreads, 0, stream>>>(values, count);
}

void LaunchGridError(cudaStream_t stream, const float* w, const int8_t* trits, const float* alpha,
                     const float* mu, int64_t n, int64_t g, float* error) {
  GridErrorKernel<<<Blocks(n * g), kThreads, 0, stream>>>(w, trits, alpha, mu, n * g, g, error);
}

void LaunchPack(cudaStream_t stream, const int8_t* trits, const float* alpha, const float* mu,
                int64_t n, int64_t m, int64_t group_size, uint8_t* packed, uint16_t* packed_alpha,
                uint16_t* packed_mu) {
  const int64_t row_bytes = PackedTritBytes(m);
  const int64_t groups = (m + group_size - 1) / group_size;
  PackTritsKernel<<<Blocks(n * row_bytes), kThreads, 0, stream>>>(trits, n, m, group_size,
                                                                  row_bytes, packed);
  PackGridKernel<<<Blocks(n * groups), kThreads, 0, stream>>>(alpha, n, groups, packed_alpha);
  PackGridKernel<<<Blocks(n * groups), kThreads, 0, stream>>>(mu, n, groups, packed_mu);
}

void LaunchUnpack(cudaStream_t stream, const uint8_t* packed, const uint16_t* alpha,
                  const uint16_t* mu, const int32_t* perm, int64_t n, int64_t m, int64_t group_size,
                  bool bf16, void* w) {
  const int64_t row_bytes = PackedTritBytes(m);
  const int64_t groups = (m + group_size - 1) / group_size;
  const unsigned blocks = Blocks(n * row_bytes);
  if (bf16) {
    UnpackKernel<<<blocks, kThreads, 0, stream>>>(packed, alpha, mu, perm, n, m, group_size,
                                                  row_bytes, groups,
                                                  static_cast<__nv_bfloat16*>(w));
  } else {
    UnpackKernel<<<blocks, kThreads, 0, stream>>>(packed, alpha, mu, perm, n, m, group_size,
                                                  row_bytes, groups, static_cast<float*>(w));
  }
}

}  // namespace tern
