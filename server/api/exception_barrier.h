#ifndef TERN_SERVER_API_EXCEPTION_BARRIER_H_
#define TERN_SERVER_API_EXCEPTION_BARRIER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace tern {

// Runs a handler; what a library below throws becomes a status (RESOURCE_EXHAUSTED when memory ran
// out, else INTERNAL), so that one bad call does not end the server. Thread-safe.
absl::Status CatchExceptions(absl::FunctionRef<absl::Status()> handler);

}  // namespace tern

#endif  // TERN_SERVER_API_EXCEPTION_BARRIER_H_
