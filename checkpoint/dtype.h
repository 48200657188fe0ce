#ifndef TERN_CHECKPOINT_DTYPE_H_
#define TERN_CHECKPOINT_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// The element types of safetensors files whose elements are whole bytes.
enum class DType {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E4M3Fnuz,
  kF8E5M2,
  kF8E5M2Fnuz,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kF64,
  kI64,
  kU64,
};

// Bytes of one element.
int64_t DTypeSize(DType dtype);

// As safetensors headers spell it: "BF16", "F8_E4M3".
absl::string_view DTypeName(DType dtype);

// nullopt for an unknown name; DTypeNames() is what an error about it lists.
std::optional<DType> ParseDType(absl::string_view name);
std::string DTypeNames();

// BF16, F16, F32: the types a model's weights may have.
bool IsWeightDType(DType dtype);

}  // namespace tern

#endif  // TERN_CHECKPOINT_DTYPE_H_
