#include "worker/backend/cuda/factor_kernels.h"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int kFactorThreads = 1024;
constexpr int kSmall = static_cast<int>(kWidestSmallFactor);
constexpr int kPitch = kSmall + 1;  // so that a column's elements lie in different banks
constexpr size_t kFactorBytes = sizeof(float) * kSmall * kPitch;

unsigned Blocks(int64_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

__device__ int64_t Index() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

__global__ void DampKernel(const float* h, int64_t m, double damping, float* out) {
  const int64_t i = Index();
  if (i >= m * m) return;
  const float value = h[i];
  const bool diagonal = i / m == i % m;
  out[i] = diagonal ? static_cast<float>((value > 0 ? value : 1.0) + damping) : value;
}

constexpr int kTile = 32;
constexpr int kTileRows = 8;

// A block takes a tile of the triangle that is kept, turned over, to its place in the other.
template <bool kUpper>
__global__ void MirrorKernel(float* a, int64_t m) {
  const bool kept = kUpper ? blockIdx.x >= blockIdx.y : blockIdx.x <= blockIdx.y;
  if (!kept) return;
  __shared__ float tile[kTile][kTile + 1];
  const int64_t row0 = int64_t{blockIdx.y} * kTile;
  const int64_t col0 = int64_t{blockIdx.x} * kTile;
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    const int64_t r = row0 + i;
    const int64_t c = col0 + threadIdx.x;
    if (r < m && c < m) tile[i][threadIdx.x] = a[r * m + c];
  }
  __syncthreads();
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    const int64_t r = col0 + i;
    const int64_t c = row0 + threadIdx.x;
    if (r < m && c < m && (kUpper ? r > c : r < c)) a[r * m + c] = tile[threadIdx.x][i];
  }
}

__global__ void KeepUpperKernel(float* a, int64_t g, bool strict) {
  const int64_t i = Index();
  if (i >= g * g) return;
  const int64_t r = i / g;
  const int64_t c = i % g;
  if (c < r || (strict && c == r)) a[i] = 0.0f;
}

// One block, right-looking: row k of U is row k of what is left of a over the pivot's root, and
// what is left loses the product of that row with itself.
__global__ void SmallFactorKernel(const float* a, int64_t stride, int g, float* u,
                                  int32_t* failures) {
  extern __shared__ float s[];
  const int tid = threadIdx.x;
  for (int i = tid; i < g * g; i += kFactorThreads) {
    s[i / g * kPitch + i % g] = a[i / g * stride + i % g];
  }
  __syncthreads();
  const int lane = tid % 32;
  const int warp = tid / 32;
  for (int k = 0; k < g; ++k) {
    const float pivot = s[k * kPitch + k];
    if (!(pivot > 0.0f) || isinf(pivot)) {
      if (tid == 0) atomicAdd(failures, 1);
      return;  // every thread reads the same pivot
    }
    const float scale = 1.0f / sqrtf(pivot);
    __syncthreads();
    for (int j = k + tid; j < g; j += kFactorThreads) s[k * kPitch + j] *= scale;
    __syncthreads();
    for (int i = k + 1 + warp; i < g; i += kFactorThreads / 32) {
      const float factor = s[k * kPitch + i];
      for (int j = i + lane; j < g; j += 32) s[i * kPitch + j] -= factor * s[k * kPitch + j];
    }
    __syncthreads();
  }
  for (int i = tid; i < g * g; i += kFactorThreads) {
    const int r = i / g;
    const int c = i % g;
    u[i] = c < r ? 0.0f : s[r * kPitch + c];
  }
}

// One block; a warp solves U·x = e_c for a column c of the inverse, from the bottom up.
__global__ void SmallInverseKernel(const float* u, int g, float* inverse) {
  extern __shared__ float s[];
  for (int i = threadIdx.x; i < g * g; i += kFactorThreads) s[i / g * kPitch + i % g] = u[i];
  __syncthreads();
  const int lane = threadIdx.x % 32;
  constexpr int kPerLane = kSmall / 32;
  for (int c = threadIdx.x / 32; c < g; c += kFactorThreads / 32) {
    float x[kPerLane];  // rows lane, lane + 32, …
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) x[i] = i * 32 + lane == c ? 1.0f : 0.0f;
    for (int k = c; k >= 0; --k) {
      float own = 0.0f;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        if (i == k / 32) own = x[i];
      }
      const float solved = __shfl_sync(0xffffffffu, own, k % 32) / s[k * kPitch + k];
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        const int r = i * 32 + lane;
        if (r < k) x[i] -= s[r * kPitch + k] * solved;
        if (r == k) x[i] = solved;
      }
    }
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int r = i * 32 + lane;
      if (r < g) inverse[r * g + c] = r <= c ? x[i] : 0.0f;
    }
  }
}

__global__ void DivideByDiagonalKernel(const float* error, const float* u, int64_t count, int64_t g,
                                       float* f) {
  const int64_t i = Index();
  if (i >= count) return;
  const int64_t j = i % g;
  f[i] = error[i] / u[j * g + j];
}

__global__ void CountFailureKernel(const int* info, int32_t* failures) {
  if (*info != 0) atomicAdd(failures, 1);
}

}  // namespace

void LaunchDamp(cudaStream_t stream, const float* h, int64_t m, double damping, float* out) {
  DampKernel<<<Blocks(m * m), kThreads, 0, stream>>>(h, m, damping, out);
}

void LaunchMirrorUpper(cudaStream_t stream, float* a, int64_t m) {
  const auto tiles = static_cast<unsigned>((m + kTile - 1) / kTile);
  MirrorKernel<true><<<dim3(tiles, tiles), dim3(kTile, kTileRows), 0, stream>>>(a, m);
}

void LaunchMirrorLower(cudaStream_t stream, float* a, int64_t m) {
  const auto tiles = static_cast<unsigned>((m + kTile - 1) / kTile);
  MirrorKernel<false><<<dim3(tiles, tiles), dim3(kTile, kTileRows), 0, stream>>>(a, m);
}

void LaunchKeepUpper(cudaStream_t stream, float* a, int64_t g, bool strict) {
  KeepUpperKernel<<<Blocks(g * g), kThreads, 0, stream>>>(a, g, strict);
}

void LaunchSmallFactor(cudaStream_t stream, const float* a, int64_t stride, int64_t g, float* u,
                       int32_t* failures) {
  cudaFuncSetAttribute(SmallFactorKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       kFactorBytes);
  SmallFactorKernel<<<1, kFactorThreads, kFactorBytes, stream>>>(a, stride, static_cast<int>(g), u,
                                                                 failures);
}

void LaunchSmallInverse(cudaStream_t stream, const float* u, int64_t g, float* inverse) {
  cudaFuncSetAttribute(SmallInverseKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       kFactorBytes);
  SmallInverseKernel<<<1, kFactorThreads, kFactorBytes, stream>>>(u, static_cast<int>(g), inverse);
}

void LaunchDivideByDiagonal(cudaStream_t stream, const float* error, const float* u, int64_t n,
                            int64_t g, float* f) {
  DivideByDiagonalKernel<<<Blocks(n * g), kThreads, 0, stream>>>(error, u, n * g, g, f);
}

void LaunchCountFailure(cudaStream_t stream, const int* info, int32_t* failures) {
  CountFailureKernel<<<1, 1, 0, stream>>>(info, failures);
}

}  // namespace tern
