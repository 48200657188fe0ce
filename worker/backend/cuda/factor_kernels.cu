#include "worker/backend/cuda/factor_kernels.h"

namespace tern {
namespace {

constexpr int kThreads = 256;

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
__global__ void MirrorKernel(float* a, int64_t m, int64_t stride) {
  const bool kept = kUpper ? blockIdx.x >= blockIdx.y : blockIdx.x <= blockIdx.y;
  if (!kept) return;
  __shared__ float tile[kTile][kTile + 1];
  const int64_t row0 = int64_t{blockIdx.y} * kTile;
  const int64_t col0 = int64_t{blockIdx.x} * kTile;
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    const int64_t r = row0 + i;
    const int64_t c = col0 + threadIdx.x;
    if (r < m && c < m) tile[i][threadIdx.x] = a[r * stride + c];
  }
  __syncthreads();
  for (int i = threadIdx.y; i < kTile; i += kTileRows) {
    const int64_t r = col0 + i;
    const int64_t c = row0 + threadIdx.x;
    if (r < m && c < m && (kUpper ? r > c : r < c)) a[r * stride + c] = tile[threadIdx.x][i];
  }
}

__global__ void IdentityKernel(float* a, int64_t g) {
  const int64_t i = Index();
  if (i < g * g) a[i] = i / g == i % g ? 1.0f : 0.0f;
}

__global__ void KeepUpperKernel(float* a, int64_t g, bool strict) {
  const int64_t i = Index();
  if (i >= g * g) return;
  const int64_t r = i / g;
  const int64_t c = i % g;
  if (c < r || (strict && c == r)) a[i] = 0.0f;
}

__global__ void ScaleByDiagonalKernel(const float* error, const float* right, int64_t count,
                                      int64_t g, float* f) {
  const int64_t i = Index();
  if (i >= count) return;
  const int64_t j = i % g;
  f[i] = error[i] * right[j * g + j];
}

__global__ void CountFailureKernel(const int* info, int32_t* failures) {
  if (*info != 0) atomicAdd(failures, 1);
}

}  // namespace

void LaunchDamp(cudaStream_t stream, const float* h, int64_t m, double damping, float* out) {
  DampKernel<<<Blocks(m * m), kThreads, 0, stream>>>(h, m, damping, out);
}

void LaunchMirrorUpper(cudaStream_t stream, float* a, int64_t m, int64_t stride) {
  const auto tiles = static_cast<unsigned>((m + kTile - 1) / kTile);
  MirrorKernel<true><<<dim3(tiles, tiles), dim3(kTile, kTileRows), 0, stream>>>(a, m, stride);
}

void LaunchMirrorLower(cudaStream_t stream, float* a, int64_t m, int64_t stride) {
  const auto tiles = static_cast<unsigned>((m + kTile - 1) / kTile);
  MirrorKernel<false><<<dim3(tiles, tiles), dim3(kTile, kTileRows), 0, stream>>>(a, m, stride);
}

void LaunchIdentity(cudaStream_t stream, float* a, int64_t g) {
  IdentityKernel<<<Blocks(g * g), kThreads, 0, stream>>>(a, g);
}

void LaunchKeepUpper(cudaStream_t stream, float* a, int64_t g, bool strict) {
  KeepUpperKernel<<<Blocks(g * g), kThreads, 0, stream>>>(a, g, strict);
}

void LaunchScaleByDiagonal(cudaStream_t stream, const float* error, const float* right, int64_t n,
                           int64_t g, float* f) {
  ScaleByDiagonalKernel<<<Blocks(n * g), kThreads, 0, stream>>>(error, right, n * g, g, f);
}

void LaunchCountFailure(cudaStream_t stream, const int* info, int32_t* failures) {
  CountFailureKernel<<<1, 1, 0, stream>>>(info, failures);
}

}  // namespace tern
