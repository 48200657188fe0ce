#ifndef TERN_WORKER_AGENT_PROCESS_MEMORY_H_
#define TERN_WORKER_AGENT_PROCESS_MEMORY_H_

namespace tern {

// Gives memory the allocator holds on to back to the system.
void ReturnFreeMemory();

}  // namespace tern

#endif  // TERN_WORKER_AGENT_PROCESS_MEMORY_H_
