#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_LIBRARY_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_LIBRARY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/backend/cuda/cuda_module.h"

namespace tern {

// Loads the CUDA module and opens a device. FAILED_PRECONDITION where the module or what it needs
// cannot be loaded.
absl::StatusOr<std::unique_ptr<Backend>> OpenCuda(const CudaOptions& options);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_LIBRARY_H_
