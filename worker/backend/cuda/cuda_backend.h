#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_BACKEND_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_BACKEND_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/backend/cuda/cuda_module.h"

namespace tern {

// The backend of one CUDA device: all its work goes through one stream, in order.
absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_BACKEND_H_
