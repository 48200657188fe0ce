#ifndef TERN_CHECKPOINT_FLOAT_CONVERSION_H_
#define TERN_CHECKPOINT_FLOAT_CONVERSION_H_

#include <bit>
#include <cstdint>
#include <span>

#include "checkpoint/dtype.h"

namespace tern {

// Between float32 and the 16-bit formats, by their bits. Narrowing rounds to nearest, ties to
// even; it overflows to infinity and keeps NaN a NaN. Widening is exact. Integer arithmetic
// decides all but the f16 subnormals, whose additions are exact under any rounding of subnormal
// float32 values, so results do not depend on the processor's flush-to-zero mode.

inline float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  return static_cast<uint16_t>((nan ? bits | 0x00400000 : rounded) >> 16);
}

inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  const uint32_t exponent = magnitude & 0x0f800000;
  // 0x38000000 moves the exponent's bias from 15 to 127; infinity and NaN move twice as far.
  const uint32_t normal = magnitude + 0x38000000 + (exponent == 0x0f800000 ? 0x38000000 : 0);
  // A subnormal is its mantissa on 2^-14, minus 2^-14.
  const float subnormal = std::bit_cast<float>(magnitude + 0x38800000) - 0x1p-14F;
  const uint32_t bits = exponent == 0 ? std::bit_cast<uint32_t>(subnormal) : normal;
  return std::bit_cast<float>(bits | sign);
}

inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  uint32_t half;
  if (magnitude > 0x7f800000) {
    half = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  } else if (magnitude >= 0x47800000) {  // 2^16 and more
    half = 0x7c00;
  } else if (magnitude < 0x38800000) {  // below 2^-14: a multiple of 2^-24, as floats by 1/2 are
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000;
  } else {  // bias 127 to 15, and half of the last place kept, less one unless that place is odd
    half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  }
  return static_cast<uint16_t>(half | sign);
}

// Elementwise, of spans of equal size.
void HalfToFloat(std::span<const uint16_t> in, std::span<float> out);
void FloatToHalf(std::span<const float> in, std::span<uint16_t> out);
void FloatToBf16(std::span<const float> in, std::span<uint16_t> out);

// Widens little-endian elements of `dtype` (BF16, F16 or F32), which need not be aligned;
// `bytes` holds as many as `out`.
void WidenToFloat(DType dtype, std::span<const uint8_t> bytes, std::span<float> out);

}  // namespace tern

#endif  // TERN_CHECKPOINT_FLOAT_CONVERSION_H_
