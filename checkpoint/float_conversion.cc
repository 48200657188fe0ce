#include "checkpoint/float_conversion.h"

#include <cassert>
#include <cstring>

namespace tern {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are stored little endian");

uint16_t LoadU16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

void HalfToFloat(std::span<const uint16_t> in, std::span<float> out) {
  assert(in.size() == out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = HalfToFloat(in[i]);
}

void FloatToHalf(std::span<const float> in, std::span<uint16_t> out) {
  assert(in.size() == out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = FloatToHalf(in[i]);
}

void FloatToBf16(std::span<const float> in, std::span<uint16_t> out) {
  assert(in.size() == out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = FloatToBf16(in[i]);
}

void WidenToFloat(DType dtype, std::span<const uint8_t> bytes, std::span<float> out) {
  assert(IsWeightDType(dtype));
  assert(bytes.size() == out.size() * static_cast<size_t>(DTypeSize(dtype)));
  const uint8_t* in = bytes.data();
  switch (dtype) {
    case DType::kBF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = Bf16ToFloat(LoadU16(in + 2 * i));
      break;
    case DType::kF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = HalfToFloat(LoadU16(in + 2 * i));
      break;
    default:
      if (!out.empty()) std::memcpy(out.data(), in, bytes.size());
      break;
  }
}

}  // namespace tern
