#ifndef TERN_WORKER_BACKEND_CUDA_ACTIVATION_KERNELS_H_
#define TERN_WORKER_BACKEND_CUDA_ACTIVATION_KERNELS_H_

#include <cuda_runtime_api.h>

#include "worker/backend/tensor.h"

namespace tern {

// Launches behind ActivationOps. Whether a launch succeeded is asked of cudaGetLastError.

void LaunchQuantize(cudaStream_t stream, const Tensor& x, int bits, double clip, const Tensor& out);

// out[t,m] bf16 = what the rows y[t,m] of fp16 and their scales (scaled_rows.h) are quantized to.
void LaunchQuantizeScaled(cudaStream_t stream, const Tensor& y, const Tensor& scales, int bits,
                          double clip, const Tensor& out);

void LaunchQuantizationError(cudaStream_t stream, const Tensor& x, int bits, double clip,
                             const Tensor& error);

// *sum += Σ partials[kEnergyPartials].
void LaunchAddPartials(cudaStream_t stream, const double* partials, float* sum);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_ACTIVATION_KERNELS_H_
