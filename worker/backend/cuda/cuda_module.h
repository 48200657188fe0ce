#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_MODULE_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_MODULE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"

namespace tern {

// The CUDA backend is a module that is loaded when a device asks for it, so that a worker starts on
// machines that have none of CUDA's libraries. This is all that both sides know of each other.

struct CudaOptions {
  int ordinal = 0;
  ElementType activation_type = ElementType::kBF16;  // or kF32
  int64_t memory_limit = 0;  // bytes that tensors may take; 0: all there are
};

inline constexpr char kCudaModule[] = "libtern_cuda.so";
inline constexpr char kOpenCudaBackend[] = "tern_open_cuda_backend";
inline constexpr char kCountCudaDevices[] = "tern_count_cuda_devices";

using OpenDevice = void (*)(const CudaOptions& options,
                            absl::StatusOr<std::unique_ptr<Backend>>* backend);
// 0 where there is no driver.
using CountDevices = int (*)();

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_MODULE_H_
