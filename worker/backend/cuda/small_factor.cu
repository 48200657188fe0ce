#include <cstdint>

#include "worker/backend/cuda/factor_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

// A matrix of up to four tiles a side lives in one block's shared memory, filled up to whole tiles
// with the identity. What is serial in a factorisation happens inside a tile, in one warp's
// registers; the rest is products of tiles by all threads.
constexpr int kTile = kWarp;
constexpr int kThreads = kTile * kTile;  // one for each element of a tile
constexpr int kMostTiles = static_cast<int>(kWidestSmallFactor) / kTile;
constexpr int kPitch = static_cast<int>(kWidestSmallFactor) + 1;  // columns in different banks
constexpr size_t kMatrixFloats = kWidestSmallFactor * kPitch;
constexpr size_t kColumnFloats = (kWidestSmallFactor - kTile) * kTile;
constexpr size_t kSharedBytes = (kMatrixFloats + kColumnFloats) * sizeof(float);

// One warp: the tile's U, UᵀU = tile. Lane j holds column j. False where a pivot is not positive.
__device__ bool FactorTile(float* tile) {
  const int lane = threadIdx.x % kWarp;
  float a[kTile];
#pragma unroll
  for (int i = 0; i < kTile; ++i) a[i] = tile[i * kPitch + lane];
  bool positive = true;
#pragma unroll
  for (int k = 0; k < kTile; ++k) {
    const float pivot = __shfl_sync(kAllLanes, a[k], k);
    positive = positive && pivot > 0.0f && !isinf(pivot);
    const float u = a[k] * (1.0f / sqrtf(pivot));
    a[k] = u;
#pragma unroll
    for (int i = k + 1; i < kTile; ++i) a[i] -= __shfl_sync(kAllLanes, u, i) * u;
  }
#pragma unroll
  for (int i = 0; i < kTile; ++i) tile[i * kPitch + lane] = i <= lane ? a[i] : 0.0f;
  return positive;
}

// One thread: x of UᵀX = A in one column below the top of a tile row, U the tile at its left end.
__device__ void SolveColumn(const float* u, float* column) {
  float x[kTile];
#pragma unroll
  for (int i = 0; i < kTile; ++i) x[i] = column[i * kPitch];
#pragma unroll
  for (int k = 0; k < kTile; ++k) {
    x[k] /= u[k * kPitch + k];
#pragma unroll
    for (int i = k + 1; i < kTile; ++i) x[i] -= u[k * kPitch + i] * x[k];
  }
#pragma unroll
  for (int i = 0; i < kTile; ++i) column[i * kPitch] = x[i];
}

// One warp: a tile's upper triangle becomes its inverse. Lane c holds column c.
__device__ void InvertTile(float* tile) {
  const int lane = threadIdx.x % kWarp;
  float x[kTile];
#pragma unroll
  for (int i = 0; i < kTile; ++i) x[i] = i == lane ? 1.0f : 0.0f;
#pragma unroll
  for (int k = kTile - 1; k >= 0; --k) {
    x[k] /= tile[k * kPitch + k];
#pragma unroll
    for (int i = 0; i < k; ++i) x[i] -= tile[i * kPitch + k] * x[k];
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < kTile; ++i) tile[i * kPitch + lane] = x[i];
}

// Right-looking by rows of tiles. False where the matrix is not positive definite; all threads
// agree.
__device__ bool Factor(float* s, int tiles) {
  __shared__ int positive;
  const int row = threadIdx.x / kTile;
  const int col = threadIdx.x % kTile;
  for (int t = 0; t < tiles; ++t) {
    float* diagonal = s + t * kTile * (kPitch + 1);
    if (row == 0) {
      const bool good = FactorTile(diagonal);
      if (col == 0) positive = good ? 1 : 0;
    }
    __syncthreads();
    if (positive == 0) return false;
    const int right = (tiles - 1 - t) * kTile;
    if (static_cast<int>(threadIdx.x) < right) {
      SolveColumn(diagonal, diagonal + kTile + threadIdx.x);
    }
    __syncthreads();
    const float* panel = s + t * kTile * kPitch;
    for (int i = t + 1; i < tiles; ++i) {
      for (int j = i; j < tiles; ++j) {
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < kTile; ++k) {
          sum += panel[k * kPitch + i * kTile + row] * panel[k * kPitch + j * kTile + col];
        }
        s[(i * kTile + row) * kPitch + j * kTile + col] -= sum;
      }
    }
    __syncthreads();
  }
  return true;
}

// U becomes X = U⁻¹, a column of tiles at a time, left to right: with the columns before it done,
// X_ij = -(Σ_{i≤k<j} X_ik·U_kj)·X_jj. `column` is scratch.
__device__ void Invert(float* s, int tiles, float* column) {
  const int row = threadIdx.x / kTile;
  const int col = threadIdx.x % kTile;
  if (row < tiles) InvertTile(s + row * kTile * (kPitch + 1));
  __syncthreads();
  for (int j = 1; j < tiles; ++j) {
    for (int i = 0; i < j; ++i) {
      float sum = 0.0f;
      for (int k = i * kTile; k < j * kTile; ++k) {
        sum += s[(i * kTile + row) * kPitch + k] * s[k * kPitch + j * kTile + col];
      }
      column[(i * kTile + row) * kTile + col] = sum;
    }
    __syncthreads();
    for (int i = 0; i < j; ++i) {
      float sum = 0.0f;
#pragma unroll
      for (int k = 0; k < kTile; ++k) {
        sum +=
            column[(i * kTile + row) * kTile + k] * s[(j * kTile + k) * kPitch + j * kTile + col];
      }
      s[(i * kTile + row) * kPitch + j * kTile + col] = -sum;
    }
    __syncthreads();
  }
}

__device__ void StoreUpper(const float* s, int g, float* to) {
  for (int i = threadIdx.x; i < g * g; i += kThreads) {
    const int r = i / g;
    const int c = i % g;
    to[i] = c < r ? 0.0f : s[r * kPitch + c];
  }
}

__global__ void __launch_bounds__(kThreads, 1)
    SmallFactorKernel(const float* a, int64_t stride, int g, float* u, float* inverse,
                      int32_t* failures) {
  extern __shared__ float s[];
  const int tiles = (g + kTile - 1) / kTile;
  const int size = tiles * kTile;
  for (int i = threadIdx.x; i < size * size; i += kThreads) {
    const int r = i / size;
    const int c = i % size;
    s[r * kPitch + c] = r < g && c < g ? a[r * stride + c] : r == c ? 1.0f : 0.0f;
  }
  __syncthreads();
  if (!Factor(s, tiles)) {
    if (threadIdx.x == 0) atomicAdd(failures, 1);
    return;
  }
  if (u != nullptr) StoreUpper(s, g, u);
  __syncthreads();
  Invert(s, tiles, s + kMatrixFloats);
  StoreUpper(s, g, inverse);
}

}  // namespace

void LaunchSmallFactor(cudaStream_t stream, const float* a, int64_t stride, int64_t g, float* u,
                       float* inverse, int32_t* failures) {
  static_assert(kMostTiles * kTile == kWidestSmallFactor);
  cudaFuncSetAttribute(SmallFactorKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       kSharedBytes);
  SmallFactorKernel<<<1, kThreads, kSharedBytes, stream>>>(a, stride, static_cast<int>(g), u,
                                                           inverse, failures);
}

}  // namespace tern
