#include "worker/agent/process_memory.h"

#include <malloc.h>

namespace tern {

void ReturnFreeMemory() { malloc_trim(0); }

}  // namespace tern
