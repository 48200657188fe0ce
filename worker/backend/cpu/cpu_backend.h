#ifndef TERN_WORKER_BACKEND_CPU_CPU_BACKEND_H_
#define TERN_WORKER_BACKEND_CPU_CPU_BACKEND_H_

#include <memory>

#include "worker/backend/backend.h"

namespace tern {

// The backend on this machine's CPU with `threads` threads, the caller's among them (0: one for
// each CPU). The CPU must have what the compute files were compiled for: make it with
// CreateBackend (device.h), which checks.
std::unique_ptr<Backend> CreateCpuBackend(int threads);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_CPU_BACKEND_H_
