#ifndef TERN_WORKER_BACKEND_CUDA_COLUMN_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_COLUMN_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace tern {

// Launches behind TernaryOps; matrices are row-major, pointers device memory. Whether a launch
// succeeded is asked of cudaGetLastError.

// diagonal[i] = h[i,i]; h[m,m].
void LaunchDiagonal(cudaStream_t stream, const float* h, int64_t m, float* diagonal);

// to[r,c] = from[r, columns[c]], 4-byte elements; from has from_cols columns.
void LaunchGatherColumns(cudaStream_t stream, const void* from, int64_t rows, int64_t from_cols,
                         const int32_t* columns, int64_t count, void* to);

// to[r,c] = from[rows[r], columns[c]], less minus[rows[r], columns[c]] unless that is nullptr; both
// [·, stride].
void LaunchGatherBlock(cudaStream_t stream, const float* from, const float* minus, int64_t stride,
                       const int32_t* rows, int64_t row_count, const int32_t* columns,
                       int64_t column_count, float* to);

void LaunchZeroColumns(cudaStream_t stream, const int32_t* columns, int64_t count, int64_t rows,
                       int64_t cols, float* w);

// ColumnSimilarity of w[n,m]; scratch holds SimilarityScratch(n, m) float64.
size_t SimilarityScratch(int64_t n, int64_t m);
void LaunchColumnSimilarity(cudaStream_t stream, const float* w, int64_t n, int64_t m,
                            double* scratch, float* scores);

// OrderColumns; scratch holds OrderScratchBytes(m) bytes.
size_t OrderScratchBytes(int64_t m);
cudaError_t LaunchOrderColumns(cudaStream_t stream, const float* scores, int64_t m, int64_t group,
                               void* scratch, int32_t* order);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_COLUMN_KERNELS_H_
