#include <algorithm>

#include "worker/backend/cuda/column_kernels.h"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostRowBlocks = 65535;  // of a grid's second dimension

// Columns in the grid's first dimension, rows, as many at a time as it takes, in the second.
dim3 Grid(int64_t rows, int64_t cols) {
  return {static_cast<unsigned>((cols + kThreads - 1) / kThreads),
          static_cast<unsigned>(std::min(rows, kMostRowBlocks))};
}

__device__ int64_t Column() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

__global__ void DiagonalKernel(const float* h, int64_t m, float* diagonal) {
  const int64_t i = Column();
  if (i < m) diagonal[i] = h[i * m + i];
}

__global__ void GatherColumnsKernel(const uint32_t* from, int64_t rows, int64_t from_cols,
                                    const int32_t* columns, int64_t count, uint32_t* to) {
  const int64_t c = Column();
  if (c >= count) return;
  const int64_t column = columns[c];
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    to[r * count + c] = from[r * from_cols + column];
  }
}

__global__ void GatherBlockKernel(const float* from, const float* minus, int64_t stride,
                                  const int32_t* rows, int64_t row_count, const int32_t* columns,
                                  int64_t column_count, float* to) {
  const int64_t c = Column();
  if (c >= column_count) return;
  const int64_t column = columns[c];
  for (int64_t r = blockIdx.y; r < row_count; r += gridDim.y) {
    const int64_t source = rows[r] * stride + column;
    to[r * column_count + c] = minus == nullptr ? from[source] : from[source] - minus[source];
  }
}

__global__ void ZeroColumnsKernel(const int32_t* columns, int64_t count, int64_t rows, int64_t cols,
                                  float* w) {
  const int64_t c = Column();
  if (c >= count) return;
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) w[r * cols + columns[c]] = 0.0f;
}

}  // namespace

void LaunchDiagonal(cudaStream_t stream, const float* h, int64_t m, float* diagonal) {
  DiagonalKernel<<<Grid(1, m), kThreads, 0, stream>>>(h, m, diagonal);
}

void LaunchGatherColumns(cudaStream_t stream, const void* from, int64_t rows, int64_t from_cols,
                         const int32_t* columns, int64_t count, void* to) {
  GatherColumnsKernel<<<Grid(rows, count), kThreads, 0, stream>>>(
      static_cast<const uint32_t*>(from), rows, from_cols, columns, count,
      static_cast<uint32_t*>(to));
}

void LaunchGatherBlock(cudaStream_t stream, const float* from, const float* minus, int64_t stride,
                       const int32_t* rows, int64_t row_count, const int32_t* columns,
                       int64_t column_count, float* to) {
  GatherBlockKernel<<<Grid(row_count, column_count), kThreads, 0, stream>>>(
      from, minus, stride, rows, row_count, columns, column_count, to);
}

void LaunchZeroColumns(cudaStream_t stream, const int32_t* columns, int64_t count, int64_t rows,
                       int64_t cols, float* w) {
  ZeroColumnsKernel<<<Grid(rows, count), kThreads, 0, stream>>>(columns, count, rows, cols, w);
}

}  // namespace tern
