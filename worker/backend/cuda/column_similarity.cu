#include <algorithm>
#include <cstdint>

#include "worker/backend/cuda/column_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

// Sums over a column are made in chunks of rows, each by one block in a fixed order, and the chunks
// then added in order. All sums are float64, as on the CPU.
constexpr int64_t kChunkRows = 128;
constexpr int kRowsAtOnce = 8;
constexpr int kThreads = kWarp * kRowsAtOnce;

int64_t Chunks(int64_t n) { return (n + kChunkRows - 1) / kChunkRows; }

// partial[chunk, j] = Σ over the chunk's rows of w_rj², or of w_rj·factor_r.
template <bool kSquares>
__global__ void ColumnSumsKernel(const float* w, int64_t n, int64_t m, const double* factor,
                                 double* partial) {
  __shared__ double sums[kRowsAtOnce][kWarp];
  const int lane = threadIdx.x % kWarp;
  const int slice = threadIdx.x / kWarp;
  const int64_t j = int64_t{blockIdx.x} * kWarp + lane;
  const int64_t first = int64_t{blockIdx.y} * kChunkRows;
  const int64_t end = min(n, first + kChunkRows);
  double sum = 0;
  if (j < m) {
    for (int64_t r = first + slice; r < end; r += kRowsAtOnce) {
      const double value = w[r * m + j];
      sum += value * (kSquares ? value : factor[r]);
    }
  }
  sums[slice][lane] = sum;
  __syncthreads();
  if (slice != 0 || j >= m) return;
#pragma unroll
  for (int other = 1; other < kRowsAtOnce; ++other) sum += sums[other][lane];
  partial[int64_t{blockIdx.y} * m + j] = sum;
}

__device__ double ChunkSum(const double* partial, int64_t chunks, int64_t m, int64_t j) {
  double sum = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * m + j];
  return sum;
}

// scale_j = 1 / ‖w_j‖, 0 for a zero column.
__global__ void ScaleKernel(const double* partial, int64_t chunks, int64_t m, double* scale) {
  const int64_t j = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (j >= m) return;
  const double squares = ChunkSum(partial, chunks, m, j);
  scale[j] = squares > 0 ? 1 / sqrt(squares) : 0;
}

// mean_r = Σ_j w_rj·scale_j / m
__global__ void MeanKernel(const float* w, int64_t m, const double* scale, double* mean) {
  const float* row = w + blockIdx.x * m;
  double sum = 0;
  for (int64_t j = threadIdx.x; j < m; j += kThreads) sum += row[j] * scale[j];
  sum = BlockSum<kThreads>(sum);
  if (threadIdx.x == 0) mean[blockIdx.x] = sum / static_cast<double>(m);
}

__global__ void ScoreKernel(const double* partial, int64_t chunks, int64_t m, const double* scale,
                            float* scores) {
  const int64_t j = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (j < m) scores[j] = static_cast<float>(ChunkSum(partial, chunks, m, j) * scale[j]);
}

}  // namespace

size_t SimilarityScratch(int64_t n, int64_t m) { return Chunks(n) * m + m + n; }

void LaunchColumnSimilarity(cudaStream_t stream, const float* w, int64_t n, int64_t m,
                            double* scratch, float* scores) {
  const int64_t chunks = Chunks(n);
  double* partial = scratch;
  double* scale = partial + chunks * m;
  double* mean = scale + m;
  const dim3 tiles(static_cast<unsigned>((m + kWarp - 1) / kWarp), static_cast<unsigned>(chunks));
  const auto columns = static_cast<unsigned>((m + kThreads - 1) / kThreads);
  ColumnSumsKernel<true><<<tiles, kThreads, 0, stream>>>(w, n, m, nullptr, partial);
  ScaleKernel<<<columns, kThreads, 0, stream>>>(partial, chunks, m, scale);
  MeanKernel<<<static_cast<unsigned>(n), kThreads, 0, stream>>>(w, m, scale, mean);
  ColumnSumsKernel<false><<<tiles, kThreads, 0, stream>>>(w, n, m, mean, partial);
  ScoreKernel<<<columns, kThreads, 0, stream>>>(partial, chunks, m, scale, scores);
}

}  // namespace tern
