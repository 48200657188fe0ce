#ifndef TERN_PROTO_SERVICE_PROCESS_MEMORY_H_
#define TERN_PROTO_SERVICE_PROCESS_MEMORY_H_

#include <cstdint>

namespace tern {

// Resident memory of this process, in bytes; 0 where the system does not tell. Thread-safe.
int64_t ResidentBytes();

// Memory this process may use: the machine's, or the control group's limit when that is less.
// Thread-safe.
int64_t MemoryLimitBytes();

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_PROCESS_MEMORY_H_
