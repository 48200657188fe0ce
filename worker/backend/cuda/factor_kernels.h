#ifndef TERN_WORKER_BACKEND_CUDA_FACTOR_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_FACTOR_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tern {

// Launches behind TernaryOps; matrices are row-major, pointers device memory. Whether a launch
// succeeded is asked of cudaGetLastError.

// out = h + damping·I, where an element of h's diagonal that is not positive counts as 1.
void LaunchDamp(cudaStream_t stream, const float* h, int64_t m, double damping, float* out);

// a[g,g] = I.
void LaunchIdentity(cudaStream_t stream, float* a, int64_t g);

// Copies one triangle of a[m,m], of row stride `stride`, to the other.
void LaunchMirrorUpper(cudaStream_t stream, float* a, int64_t m, int64_t stride);
void LaunchMirrorLower(cudaStream_t stream, float* a, int64_t m, int64_t stride);

// Zeroes the triangle below the diagonal of a[g,g]; with `strict` the diagonal too.
void LaunchKeepUpper(cudaStream_t stream, float* a, int64_t g, bool strict);

inline constexpr int64_t kWidestSmallFactor = 128;

// u[g,g] = U, upper, UᵀU = a, and inverse[g,g] = U⁻¹, for a symmetric a[g,·] of row stride
// `stride`, g ≤ kWidestSmallFactor. Adds 1 to *failures where a is not positive definite, and then
// writes nothing else. u may be nullptr.
void LaunchSmallFactor(cudaStream_t stream, const float* a, int64_t stride, int64_t g, float* u,
                       float* inverse, int32_t* failures);

// f[n,g] = error[n,g]·diag(right[g,g]), column by column.
void LaunchScaleByDiagonal(cudaStream_t stream, const float* error, const float* right, int64_t n,
                           int64_t g, float* f);

// Adds 1 to *failures unless *info is 0: what cuSOLVER found.
void LaunchCountFailure(cudaStream_t stream, const int* info, int32_t* failures);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_FACTOR_KERNELS_H_
