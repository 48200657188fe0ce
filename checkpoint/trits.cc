#include "checkpoint/trits.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstring>

namespace tern {
namespace {

// The five trits of every byte, in rows of eight so that one is copied as a word. Bytes of 243 and
// more have the trits of their remainder.
using TritRow = std::array<int8_t, 8>;
constexpr std::array<TritRow, 256> MakeTritRows() {
  std::array<TritRow, 256> rows{};
  for (int byte = 0; byte < 256; ++byte) {
    int rest = byte % kTritByteValues;
    for (size_t i = 0; i < kTritsPerByte; ++i) {
      rows[byte][i] = static_cast<int8_t>(rest % 3 - 1);
      rest /= 3;
    }
  }
  return rows;
}
constexpr std::array<TritRow, 256> kTritRows = MakeTritRows();

uint8_t PackByte(const int8_t* trits, size_t count) {
  int value = 0;
  for (size_t i = kTritsPerByte; i-- > 0;) {
    const int trit = i < count ? trits[i] : 0;
    assert(trit >= -1 && trit <= 1);
    value = value * 3 + trit + 1;
  }
  return static_cast<uint8_t>(value);
}

}  // namespace

void PackTrits(std::span<const int8_t> trits, std::span<uint8_t> packed) {
  assert(packed.size() == static_cast<size_t>(PackedTritBytes(trits.size())));
  for (size_t byte = 0; byte < packed.size(); ++byte) {
    const size_t first = byte * kTritsPerByte;
    packed[byte] =
        PackByte(trits.data() + first, std::min<size_t>(kTritsPerByte, trits.size() - first));
  }
}

void UnpackTrits(std::span<const uint8_t> packed, std::span<int8_t> trits) {
  assert(packed.size() == static_cast<size_t>(PackedTritBytes(trits.size())));
  size_t byte = 0;
  // Eight trits are written for five: the next byte's overwrite the other three.
  for (; (byte + 2) * kTritsPerByte <= trits.size(); ++byte) {
    std::memcpy(trits.data() + byte * kTritsPerByte, &kTritRows[packed[byte]], sizeof(TritRow));
  }
  for (; byte < packed.size(); ++byte) {
    const size_t first = byte * kTritsPerByte;
    std::memcpy(trits.data() + first, &kTritRows[packed[byte]],
                std::min<size_t>(kTritsPerByte, trits.size() - first));
  }
}

bool AreValidTrits(std::span<const uint8_t> packed, int64_t trits) {
  if (packed.size() != static_cast<size_t>(PackedTritBytes(trits))) return false;
  uint8_t largest = 0;
  for (const uint8_t byte : packed) largest = std::max(largest, byte);
  if (largest >= kTritByteValues) return false;
  if (packed.empty()) return true;
  const int64_t in_last = trits - (static_cast<int64_t>(packed.size()) - 1) * kTritsPerByte;
  const TritRow& last = kTritRows[packed.back()];
  return std::all_of(last.begin() + in_last, last.begin() + kTritsPerByte,
                     [](int8_t trit) { return trit == 0; });
}

}  // namespace tern
