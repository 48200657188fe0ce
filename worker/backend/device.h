#ifndef TERN_WORKER_BACKEND_DEVICE_H_
#define TERN_WORKER_BACKEND_DEVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/backend/backend.h"

namespace tern {

// The backend of `device` ("cpu"); `threads` is its number of CPU threads, 0 for one a CPU.
// INVALID_ARGUMENT names the devices built in; FAILED_PRECONDITION the instruction sets this CPU
// lacks and the program needs.
absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(absl::string_view device, int threads);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_DEVICE_H_
