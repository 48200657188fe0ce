#include "checkpoint/tensor_values.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr size_t kChunk = 4096;  // converted and then checked while in the first-level cache

bool IsFinite(float value) { return (std::bit_cast<uint32_t>(value) & 0x7f800000) != 0x7f800000; }

bool AreFinite(std::span<const float> values) {
  uint32_t infinite = 0;
  for (const float value : values) infinite |= static_cast<uint32_t>(!IsFinite(value));
  return infinite == 0;
}

absl::Status CheckDType(const TensorView& tensor) {
  if (IsWeightDType(tensor.dtype)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(tensor.name, ": dtype ", DTypeName(tensor.dtype),
                                                 ", but BF16, F16 or F32 is expected"));
}

}  // namespace

absl::Status ReadFloat(const TensorView& tensor, std::span<float> out) {
  TERN_RETURN_IF_ERROR(CheckDType(tensor));
  const size_t element_bytes = static_cast<size_t>(DTypeSize(tensor.dtype));
  if (tensor.bytes.size() != out.size() * element_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        tensor.name, ": ", tensor.elements(), " elements, but ", out.size(), " are to be read"));
  }
  for (size_t begin = 0; begin < out.size(); begin += kChunk) {
    const size_t count = std::min(kChunk, out.size() - begin);
    const std::span<float> values = out.subspan(begin, count);
    WidenToFloat(tensor.dtype, tensor.bytes.subspan(begin * element_bytes, count * element_bytes),
                 values);
    TERN_RETURN_IF_ERROR(CheckFinite(tensor.name, static_cast<int64_t>(begin), values));
  }
  return absl::OkStatus();
}

absl::Status CheckFinite(const std::string& tensor, int64_t first, std::span<const float> values) {
  if (AreFinite(values)) return absl::OkStatus();
  const auto bad = std::find_if_not(values.begin(), values.end(), IsFinite);
  return absl::InvalidArgumentError(absl::StrCat(tensor, ": ", *bad, " at index ",
                                                 first + (bad - values.begin()),
                                                 "; weights must be finite"));
}

absl::Status CheckWeight(const TensorView& tensor, const ExpectedTensor& expected) {
  if (tensor.shape != expected.shape) {
    return absl::InvalidArgumentError(
        absl::StrCat(expected.name, ": shape ", ShapeString(tensor.shape),
                     " but config.json implies ", ShapeString(expected.shape)));
  }
  return CheckDType(tensor);
}

}  // namespace tern
