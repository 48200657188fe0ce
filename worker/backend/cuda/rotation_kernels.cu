#include <cmath>

#include "worker/backend/cuda/rotation_kernels.h"

namespace tern {
namespace {

constexpr int kThreads = 256;

unsigned Blocks(int64_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

__device__ int64_t Index() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

// A thread takes one column of one row's Z, n1 ≤ kMost values, to registers: r1, its rows filled up
// with zeros, comes from shared memory at four values a load.
template <int kMost>
__global__ void MultiplyLeftKernel(const float* r1, const float* z, int64_t columns, int n1,
                                   int64_t n2, float* out) {
  __shared__ float4 factor[kMost][kMost / 4];
  auto* values = reinterpret_cast<float*>(factor);
  for (int i = threadIdx.x; i < n1 * kMost; i += kThreads) {
    const int c = i % kMost;
    values[i] = c < n1 ? r1[i / kMost * n1 + c] : 0.0f;
  }
  __syncthreads();
  const int64_t column = Index();
  if (column >= columns) return;
  const int64_t first = column / n2 * n1 * n2 + column % n2;
  float x[kMost];
#pragma unroll
  for (int b = 0; b < kMost; ++b) x[b] = b < n1 ? z[first + b * n2] : 0.0f;
  for (int a = 0; a < n1; ++a) {
    float sum = 0;
#pragma unroll
    for (int b = 0; b < kMost / 4; ++b) {
      const float4 f = factor[a][b];
      sum += f.x * x[4 * b] + f.y * x[4 * b + 1] + f.z * x[4 * b + 2] + f.w * x[4 * b + 3];
    }
    out[first + a * n2] = sum;
  }
}

template <int kMost>
void LaunchMultiplyLeftOf(cudaStream_t stream, const float* r1, const float* z, int64_t t,
                          int64_t n1, int64_t n2, float* out) {
  const int64_t columns = t * n2;
  MultiplyLeftKernel<kMost>
      <<<Blocks(columns), kThreads, 0, stream>>>(r1, z, columns, static_cast<int>(n1), n2, out);
}

constexpr int kTile = 32;
constexpr int kTileRows = 8;

// A block exchanges the tile (y,x), x ≥ y, with the tile (x,y), both turned over.
__global__ void TransposeInPlaceKernel(float* a, int64_t m) {
  if (blockIdx.x < blockIdx.y) return;
  __shared__ float upper[kTile][kTile + 1];
  __shared__ float lower[kTile][kTile + 1];
  const int64_t row0 = int64_t{blockIdx.y} * kTile;
  const int64_t col0 = int64_t{blockIdx.x} * kTile;
  const int x = threadIdx.x;
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    if (row0 + i < m && col0 + x < m) upper[i][x] = a[(row0 + i) * m + col0 + x];
    if (col0 + i < m && row0 + x < m) lower[i][x] = a[(col0 + i) * m + row0 + x];
  }
  __syncthreads();
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    if (row0 + i < m && col0 + x < m) a[(row0 + i) * m + col0 + x] = lower[x][i];
    if (col0 + i < m && row0 + x < m) a[(col0 + i) * m + row0 + x] = upper[x][i];
  }
}

__global__ void SubtractTransposedKernel(const float* a, int64_t k, float factor, float* to) {
  const int64_t i = Index();
  if (i < k * k) to[i] = factor * (a[i] - a[i % k * k + i / k]);
}

__global__ void AddIdentityKernel(const float* a, int64_t k, float* to) {
  const int64_t i = Index();
  if (i < k * k) to[i] = a[i] + (i / k == i % k ? 1.0f : 0.0f);
}

__global__ void CayleyKernel(const float* inverse, const float* product, int64_t k,
                             const int32_t* failures, float* r, float* copy) {
  const int64_t i = Index();
  if (i >= k * k) return;
  const float value = 2 * (inverse[i] - product[i]) - (i / k == i % k ? 1.0f : 0.0f);
  r[i] = copy[i] = *failures == 0 ? value : NAN;
}

constexpr int kSumColumns = 32;

// A block sums kSumColumns elements, each by kRows threads, whose sums one adds up in order.
template <int kRows>
__global__ void __launch_bounds__(kSumColumns* kRows)
    SumPartialsKernel(const float* partials, int64_t parts, int64_t count, float* sum) {
  __shared__ double sums[kRows][kSumColumns];
  const int64_t i = int64_t{blockIdx.x} * kSumColumns + threadIdx.x;
  double of_thread = 0;
  if (i < count) {
#pragma unroll 8
    for (int64_t p = threadIdx.y; p < parts; p += kRows) of_thread += partials[p * count + i];
  }
  sums[threadIdx.y][threadIdx.x] = of_thread;
  __syncthreads();
  if (threadIdx.y != 0 || i >= count) return;
  double total = 0;
  for (int r = 0; r < kRows; ++r) total += sums[r][threadIdx.x];
  sum[i] = static_cast<float>(total);
}

constexpr float kMeanDecay = 0.9f;
constexpr float kSquareDecay = 0.999f;
constexpr float kAdamEpsilon = 1e-8f;

__global__ void AdamStepKernel(const float* gradient, int64_t count, float mean_scale,
                               float square_scale, float* mean, float* square, float* s) {
  const int64_t i = Index();
  if (i >= count) return;
  const float g = gradient[i];
  const float m = mean[i] + (1 - kMeanDecay) * (g - mean[i]);
  const float v = square[i] + (1 - kSquareDecay) * (g * g - square[i]);
  mean[i] = m;
  square[i] = v;
  s[i] -= mean_scale * m / (sqrtf(square_scale * v) + kAdamEpsilon);
}

__global__ void DescentStepKernel(const float* gradient, int64_t count, float rate, float* s) {
  const int64_t i = Index();
  if (i < count) s[i] -= rate * gradient[i];
}

}  // namespace

void LaunchMultiplyLeft(cudaStream_t stream, const float* r1, const float* z, int64_t t, int64_t n1,
                        int64_t n2, float* out) {
  static_assert(kWidestLeftFactor == 32);
  if (n1 <= 8) {
    LaunchMultiplyLeftOf<8>(stream, r1, z, t, n1, n2, out);
  } else if (n1 <= 16) {
    LaunchMultiplyLeftOf<16>(stream, r1, z, t, n1, n2, out);
  } else {
    LaunchMultiplyLeftOf<32>(stream, r1, z, t, n1, n2, out);
  }
}

void LaunchTransposeInPlace(cudaStream_t stream, float* a, int64_t m) {
  const auto tiles = static_cast<unsigned>((m + kTile - 1) / kTile);
  TransposeInPlaceKernel<<<dim3(tiles, tiles), dim3(kTile, kTileRows), 0, stream>>>(a, m);
}

void LaunchSubtractTransposed(cudaStream_t stream, const float* a, int64_t k, float factor,
                              float* to) {
  SubtractTransposedKernel<<<Blocks(k * k), kThreads, 0, stream>>>(a, k, factor, to);
}

void LaunchAddIdentity(cudaStream_t stream, const float* a, int64_t k, float* to) {
  AddIdentityKernel<<<Blocks(k * k), kThreads, 0, stream>>>(a, k, to);
}

void LaunchCayley(cudaStream_t stream, const float* inverse, const float* product, int64_t k,
                  const int32_t* failures, float* r, float* copy) {
  CayleyKernel<<<Blocks(k * k), kThreads, 0, stream>>>(inverse, product, k, failures, r, copy);
}

void LaunchSumPartials(cudaStream_t stream, const float* partials, int64_t parts, int64_t count,
                       float* sum) {
  const auto blocks = static_cast<unsigned>((count + kSumColumns - 1) / kSumColumns);
  constexpr int kFew = 4;
  constexpr int kMany = 32;
  if (parts <= kFew * kMany) {
    SumPartialsKernel<kFew>
        <<<blocks, dim3(kSumColumns, kFew), 0, stream>>>(partials, parts, count, sum);
  } else {
    SumPartialsKernel<kMany>
        <<<blocks, dim3(kSumColumns, kMany), 0, stream>>>(partials, parts, count, sum);
  }
}

void LaunchAdamStep(cudaStream_t stream, const float* gradient, int64_t count, float mean_scale,
                    float square_scale, float* mean, float* square, float* s) {
  AdamStepKernel<<<Blocks(count), kThreads, 0, stream>>>(gradient, count, mean_scale, square_scale,
                                                         mean, square, s);
}

void LaunchDescentStep(cudaStream_t stream, const float* gradient, int64_t count, float rate,
                       float* s) {
  DescentStepKernel<<<Blocks(count), kThreads, 0, stream>>>(gradient, count, rate, s);
}

}  // namespace tern
