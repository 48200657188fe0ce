#ifndef TERN_TESTS_FUZZ_TARGETS_H_
#define TERN_TESTS_FUZZ_TARGETS_H_

#include <cstdint>
#include <span>

namespace tern {

// What is fuzzed: readers of files from outside. Each takes any bytes, and must neither crash nor
// touch memory that is not its own, nor accept what it then cannot use.

// A safetensors file, and every tensor it describes.
void FuzzSafetensors(std::span<const uint8_t> input);

// A model's config.json, and a packed checkpoint's.
void FuzzConfig(std::span<const uint8_t> input);

// A manifest, up to the first zero byte, then a block file of packed layers.
void FuzzPackedLayer(std::span<const uint8_t> input);

}  // namespace tern

#endif  // TERN_TESTS_FUZZ_TARGETS_H_
