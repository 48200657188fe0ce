#ifndef TERN_WORKER_BACKEND_CUDA_LOSS_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_LOSS_KERNELS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tern {

// Launches over the rows of logits[rows, vocab], float32; sums are float64. Whether a launch
// succeeded is asked of cudaGetLastError.

void LaunchTokenLosses(cudaStream_t stream, const float* logits, int64_t rows, int64_t vocab,
                       const int32_t* targets, double* losses);

void LaunchKlDivergences(cudaStream_t stream, const float* reference, const float* logits,
                         int64_t rows, int64_t vocab, double* divergences);

inline constexpr int kEnergyPartials = 1024;
// partials[kEnergyPartials]: their sum is Σ a_i·b_i.
void LaunchDotPartials(cudaStream_t stream, const float* a, const float* b, int64_t count,
                       double* partials);

// e = w - w_hat.
void LaunchSubtract(cudaStream_t stream, const float* w, const float* w_hat, int64_t count,
                    float* e);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_LOSS_KERNELS_H_
