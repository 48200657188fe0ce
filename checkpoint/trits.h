#ifndef TERN_CHECKPOINT_TRITS_H_
#define TERN_CHECKPOINT_TRITS_H_

#include <cstdint>
#include <span>

namespace tern {

// Trits are -1, 0 or 1. Five share a byte, little end first: value = Σ (t_i + 1)·3^i, 0 … 242.
// What fills the last byte of a row are zeros, i.e. digits 1.

inline constexpr int kTritsPerByte = 5;
inline constexpr int kTritByteValues = 243;  // 3^5

inline constexpr int64_t PackedTritBytes(int64_t trits) {
  return (trits + kTritsPerByte - 1) / kTritsPerByte;
}

// `packed` has PackedTritBytes(trits.size()) bytes, for both.
void PackTrits(std::span<const int8_t> trits, std::span<uint8_t> packed);

// The bytes must be valid.
void UnpackTrits(std::span<const uint8_t> packed, std::span<int8_t> trits);

// Whether every byte of a row of `trits` trits is below 243 and its padding zero.
bool AreValidTrits(std::span<const uint8_t> packed, int64_t trits);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TRITS_H_
