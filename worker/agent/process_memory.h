#ifndef TERN_WORKER_AGENT_PROCESS_MEMORY_H_
#define TERN_WORKER_AGENT_PROCESS_MEMORY_H_

#include <cstdint>

namespace tern {

// Memory this process may use: the machine's, or the control group's limit when that is less.
int64_t MemoryLimitBytes();

// Gives memory the allocator holds on to back to the system.
void ReturnFreeMemory();

}  // namespace tern

#endif  // TERN_WORKER_AGENT_PROCESS_MEMORY_H_
