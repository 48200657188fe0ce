#ifndef TERN_CHECKPOINT_TEXT_SPLIT_MIX_H_
#define TERN_CHECKPOINT_TEXT_SPLIT_MIX_H_

#include <cstdint>

namespace tern {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform, which the standard
// library's distributions do not promise. Thread-compatible.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without bias; bound > 0.
  uint64_t Below(uint64_t bound) {
    const uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound
    uint64_t value = Next();
    while (value < rejected) value = Next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_TEXT_SPLIT_MIX_H_
