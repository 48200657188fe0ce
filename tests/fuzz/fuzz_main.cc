#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

// libFuzzer's entry point, for the target named by TERN_FUZZ_TARGET.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tern::TERN_FUZZ_TARGET({data, size});
  return 0;
}
