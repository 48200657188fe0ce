#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_STATUS_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_STATUS_H_

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include "absl/status/status.h"

namespace tern {

// What a CUDA call of `operation` returned, as a status that names the operation. Failures are
// INTERNAL: after most of them the device's context is of no further use to the process.
absl::Status CudaStatus(cudaError_t error, const char* operation);
absl::Status CudaStatus(cublasStatus_t status, const char* operation);
absl::Status CudaStatus(cusolverStatus_t status, const char* operation);

// What launching the kernels of `operation` came to.
absl::Status Launched(const char* operation);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_STATUS_H_
