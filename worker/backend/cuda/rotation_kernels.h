#ifndef TERN_WORKER_BACKEND_CUDA_ROTATION_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_ROTATION_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "worker/backend/rotation_ops.h"
#include "worker/backend/tensor.h"

namespace tern {

// Launches behind RotationOps; matrices are row-major and dense, pointers device memory. Whether a
// launch succeeded is asked of cudaGetLastError.

// out = r1·Z in every row Z[n1,n2] of z[t,n1·n2], n1 ≤ kWidestLeftFactor; out may be z.
inline constexpr int64_t kWidestLeftFactor = 32;
void LaunchMultiplyLeft(cudaStream_t stream, const float* r1, const float* z, int64_t t, int64_t n1,
                        int64_t n2, float* out);

// a[m,m] = aᵀ.
void LaunchTransposeInPlace(cudaStream_t stream, float* a, int64_t m);

// to[k,k] = factor·(a - aᵀ).
void LaunchSubtractTransposed(cudaStream_t stream, const float* a, int64_t k, float factor,
                              float* to);

// to[k,k] = a + I.
void LaunchAddIdentity(cudaStream_t stream, const float* a, int64_t k, float* to);

// r[k,k] = 2·inverse - 2·product - I, or NaN where *failures is not 0; twice.
void LaunchCayley(cudaStream_t stream, const float* inverse, const float* product, int64_t k,
                  const int32_t* failures, float* r, float* copy);

// sum[count] = Σ partials[parts, count], sums float64.
void LaunchSumPartials(cudaStream_t stream, const float* partials, int64_t parts, int64_t count,
                       float* sum);

void LaunchAdamStep(cudaStream_t stream, const float* gradient, int64_t count, float mean_scale,
                    float square_scale, float* mean, float* square, float* s);
void LaunchDescentStep(cudaStream_t stream, const float* gradient, int64_t count, float rate,
                       float* s);

// RotationOps::RotatedMixtureLoss of y[n,m]; d_y may be nullptr. scratch holds
// MixtureScratchBytes(n) bytes.
size_t MixtureScratchBytes(int64_t n);
void LaunchMixtureLoss(cudaStream_t stream, const float* y, int64_t n, int64_t m,
                       MixtureObjective objective, void* scratch, float* loss, float* d_y);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_ROTATION_KERNELS_H_
