#ifndef TERN_WORKER_BACKEND_CUDA_GRID_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_GRID_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tern {

// Launches behind TernaryOps; matrices are row-major and dense, pointers device memory. Whether a
// launch succeeded is asked of cudaGetLastError.

// w[n,g], g ≤ kWidestGroup; counts[2] is added to; for both.
inline constexpr int64_t kWidestGroup = 4096;
void LaunchFitGrid(cudaStream_t stream, const float* w, int64_t n, int64_t g, int max_rounds,
                   int8_t* trits, float* alpha, float* mu, int32_t* counts);

void LaunchFitGridByThreshold(cudaStream_t stream, const float* w, int64_t n, int64_t g, int rounds,
                              int8_t* trits, float* alpha, float* mu, int32_t* counts);

// c[g,g], the group's block of H, is overwritten; row_sums[g+1] float64 scratch, its last element
// the sum of all.
void LaunchAlignGrid(cudaStream_t stream, const float* w, int64_t n, int64_t g, const int8_t* trits,
                     const float* c, double* row_sums, float* alpha, float* mu);

void LaunchRoundToHalf(cudaStream_t stream, float* values, int64_t count);

void LaunchGridError(cudaStream_t stream, const float* w, const int8_t* trits, const float* alpha,
                     const float* mu, int64_t n, int64_t g, float* error);

// trits: the groups' [n, width] one after the other; alpha, mu [groups, n] float32. Writes
// packed[n, ceil(m/5)] and the grids' fp16 bits [n, groups].
void LaunchPack(cudaStream_t stream, const int8_t* trits, const float* alpha, const float* mu,
                int64_t n, int64_t m, int64_t group_size, uint8_t* packed, uint16_t* packed_alpha,
                uint16_t* packed_mu);

// w[n,m] in the order perm gives (nullptr: as stored), float32 or bf16.
void LaunchUnpack(cudaStream_t stream, const uint8_t* packed, const uint16_t* alpha,
                  const uint16_t* mu, const int32_t* perm, int64_t n, int64_t m, int64_t group_size,
                  bool bf16, void* w);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_GRID_KERNELS_H_
