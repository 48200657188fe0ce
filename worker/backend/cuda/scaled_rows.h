#ifndef TERN_WORKER_BACKEND_CUDA_SCALED_ROWS_H_
#define TERN_WORKER_BACKEND_CUDA_SCALED_ROWS_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "worker/backend/tensor.h"

namespace tern {

// bf16 rows as rows of fp16 and a power of two each, scales[t,1] float32, that brings the row's
// largest magnitude to 64 … 128: products with orthogonal matrices then overflow in no row of up to
// 2^18 elements, and what is below the normal numbers of fp16 is 2^-20 of that magnitude. Whether a
// launch succeeded is asked of cudaGetLastError.

// out[t,m] and its scales = the rows x[t,m].
void LaunchScaleRows(cudaStream_t stream, const Tensor& x, const Tensor& out, const Tensor& scales);

// The same of r1·X for every row's X[n1,n2], r1[n1,n1] float32, n1 ≤ kWidestLeftFactor.
void LaunchScaleAndMultiplyLeft(cudaStream_t stream, const Tensor& x, const Tensor& r1, int64_t n2,
                                const Tensor& out, const Tensor& scales);

// to[t,m] bf16 = the values of the rows y[t,m].
void LaunchUnscaleRows(cudaStream_t stream, const Tensor& y, const Tensor& scales,
                       const Tensor& to);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_SCALED_ROWS_H_
