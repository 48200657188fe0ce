#include <array>
#include <cstring>

#include "checkpoint/digest.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tern {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, bits reversed

// kTables[k][b]: what byte b does to the remainder when k more bytes follow it.
constexpr std::array<std::array<uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr auto kTables = MakeTables();

uint64_t LoadU64(const uint8_t* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

uint32_t ExtendByTables(uint32_t crc, std::span<const uint8_t> bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = LoadU64(bytes.data() + i) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; i < bytes.size(); ++i) crc = (crc >> 8) ^ kTables[0][(crc ^ bytes[i]) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ExtendByInstruction(uint32_t crc,
                                                               std::span<const uint8_t> bytes) {
  uint64_t wide = crc;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) wide = _mm_crc32_u64(wide, LoadU64(bytes.data() + i));
  crc = static_cast<uint32_t>(wide);
  for (; i < bytes.size(); ++i) crc = _mm_crc32_u8(crc, bytes[i]);
  return crc;
}
#endif

using Extend = uint32_t (*)(uint32_t, std::span<const uint8_t>);

Extend ChooseExtend() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ExtendByInstruction;
#endif
  return ExtendByTables;
}

}  // namespace

uint32_t ExtendCrc32c(uint32_t crc, std::span<const uint8_t> bytes) {
  static const Extend extend = ChooseExtend();
  return ~extend(~crc, bytes);
}

}  // namespace tern
