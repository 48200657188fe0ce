#include <cstdint>

#include "worker/backend/cuda/grid_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kRowsPerWarp = 4;
constexpr int kPerLane = 4;  // elements of C·t a lane has in hand
constexpr int kChunk = kWarp * kPerLane;
// As on the CPU: t and 1 are the same direction under C.
constexpr double kVanishing = 1e-9;

__global__ void RowSumsKernel(const float* c, int g, double* row_sums) {
  double sum = 0;
  for (int j = threadIdx.x; j < g; j += kThreads) sum += c[int64_t{blockIdx.x} * g + j];
  sum = BlockSum<kThreads>(sum);
  if (threadIdx.x == 0) row_sums[blockIdx.x] = sum;
}

__global__ void TotalKernel(int g, double* row_sums) {
  double sum = 0;
  for (int j = threadIdx.x; j < g; j += kThreads) sum += row_sums[j];
  sum = BlockSum<kThreads>(sum);
  if (threadIdx.x == 0) row_sums[g] = sum;
}

// One warp a row. C's rows are read as its columns: it is symmetric.
__device__ void AlignRow(const float* c, const double* row_sums, const float* w, const int8_t* t,
                         int g, float* alpha, float* mu) {
  const int lane = threadIdx.x % kWarp;
  double a = 0;
  double b = 0;
  double y1 = 0;
  double y2 = 0;
  for (int first = 0; first < g; first += kChunk) {
    double ct[kPerLane] = {};
    for (int block = 0; block < g; block += kWarp) {
      const int trits = block + lane < g ? t[block + lane] : 0;
      for (int j = 0; j < kWarp && block + j < g; ++j) {
        const int trit = __shfl_sync(kAllLanes, trits, j);
        if (trit == 0) continue;  // the whole warp alike
#pragma unroll
        for (int i = 0; i < kPerLane; ++i) {
          const int column = first + i * kWarp + lane;
          if (column >= g) continue;
          const double value = c[int64_t{block + j} * g + column];
          ct[i] += trit > 0 ? value : -value;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int column = first + i * kWarp + lane;
      if (column >= g) continue;
      a += t[column] * ct[i];
      b += t[column] * row_sums[column];
      y1 += w[column] * ct[i];
      y2 += w[column] * row_sums[column];
    }
  }
  a = WarpSum(a);
  b = WarpSum(b);
  y1 = WarpSum(y1);
  y2 = WarpSum(y2);
  const double d = row_sums[g];
  const double determinant = a * d - b * b;
  if (lane != 0 || !(determinant > kVanishing * a * d)) return;
  *alpha = static_cast<float>((d * y1 - b * y2) / determinant);
  *mu = static_cast<float>((a * y2 - b * y1) / determinant);
}

// kShared: C is first copied to shared memory.
template <bool kShared>
__global__ void AlignGridKernel(const float* w, int64_t n, int g, const int8_t* trits,
                                const float* c, const double* row_sums, float* alpha, float* mu) {
  extern __shared__ float shared_c[];
  if constexpr (kShared) {
    for (int i = threadIdx.x; i < g * g; i += kThreads) shared_c[i] = c[i];
    __syncthreads();
  }
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp) * kRowsPerWarp;
  for (int64_t r = first; r < first + kRowsPerWarp && r < n; ++r) {
    AlignRow(kShared ? shared_c : c, row_sums, w + r * g, trits + r * g, g, alpha + r, mu + r);
  }
}

}  // namespace

void LaunchAlignGrid(cudaStream_t stream, const float* w, int64_t n, int64_t g, const int8_t* trits,
                     const float* c, double* row_sums, float* alpha, float* mu) {
  const int width = static_cast<int>(g);
  RowSumsKernel<<<width, kThreads, 0, stream>>>(c, width, row_sums);
  TotalKernel<<<1, kThreads, 0, stream>>>(width, row_sums);
  constexpr int64_t kRowsPerBlock = kWarps * kRowsPerWarp;
  const auto blocks = static_cast<unsigned>((n + kRowsPerBlock - 1) / kRowsPerBlock);
  const int bytes = width * width * static_cast<int>(sizeof(float));
  constexpr int kSharedWidth = 128;
  if (width <= kSharedWidth) {
    cudaFuncSetAttribute(AlignGridKernel<true>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         kSharedWidth * kSharedWidth * static_cast<int>(sizeof(float)));
    AlignGridKernel<true>
        <<<blocks, kThreads, bytes, stream>>>(w, n, width, trits, c, row_sums, alpha, mu);
  } else {
    AlignGridKernel<false>
        <<<blocks, kThreads, 0, stream>>>(w, n, width, trits, c, row_sums, alpha, mu);
  }
}

}  // namespace tern
