#ifndef TERN_WORKER_BACKEND_DEVICE_H_
#define TERN_WORKER_BACKEND_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/backend/backend.h"

namespace tern {

struct DeviceOptions {
  // "cpu", "cuda:N", "cuda" for cuda:0, "auto" for cuda:0 where there is one and else the CPU.
  std::string device = "cpu";
  int threads = 0;  // CPU threads of "cpu"; 0: one a CPU
  // What activations are held in: kF32, or kBF16 on CUDA, which is its default.
  std::optional<ElementType> activation_type;
  int64_t memory_limit = 0;  // bytes of CUDA memory that tensors may take; 0: all there are
};

// INVALID_ARGUMENT names the devices there are; FAILED_PRECONDITION what this machine lacks: an
// instruction set of the CPU, CUDA's libraries, a driver, a device that is new enough.
absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const DeviceOptions& options);
absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(absl::string_view device, int threads);

// CUDA devices that can be seen; 0 too where this program was built without CUDA or its libraries
// are not there.
int CountCudaDevices();

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_DEVICE_H_
