#include "worker/backend/cuda/cuda_module.h"

#include <cuda_runtime_api.h>

#include "worker/backend/cuda/cuda_backend.h"

extern "C" {

__attribute__((visibility("default"))) void tern_open_cuda_backend(
    const tern::CudaOptions& options, absl::StatusOr<std::unique_ptr<tern::Backend>>* backend) {
  *backend = tern::CreateCudaBackend(options);
}

__attribute__((visibility("default"))) int tern_count_cuda_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

}  // extern "C"
