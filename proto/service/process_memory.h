#ifndef TERN_PROTO_SERVICE_PROCESS_MEMORY_H_
#define TERN_PROTO_SERVICE_PROCESS_MEMORY_H_

#include <cstdint>

namespace tern {

// Resident memory of this process, in bytes; 0 where the system does not tell. Thread-safe.
int64_t ResidentBytes();

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_PROCESS_MEMORY_H_
