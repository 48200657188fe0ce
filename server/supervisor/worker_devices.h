#ifndef TERN_SERVER_SUPERVISOR_WORKER_DEVICES_H_
#define TERN_SERVER_SUPERVISOR_WORKER_DEVICES_H_

#include <string>

#include "absl/status/statusor.h"

namespace tern {

struct CudaDevices {
  int count = 0;
  std::string said;  // the first line of what the program wrote to stderr: with 0 why
};

// How many CUDA devices the worker program at this path sees on this machine: it is run to say so,
// as it alone knows whether it can use them. An error names the program.
absl::StatusOr<CudaDevices> CountCudaDevicesOf(const std::string& worker_binary);

}  // namespace tern

#endif  // TERN_SERVER_SUPERVISOR_WORKER_DEVICES_H_
