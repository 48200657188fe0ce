#ifndef TERN_CHECKPOINT_SAFETENSORS_HEADER_H_
#define TERN_CHECKPOINT_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/dtype.h"

namespace tern {

// The limits a safetensors header is held to.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensors = size_t{1} << 18;
inline constexpr size_t kMaxDimensions = 64;
inline constexpr size_t kMaxNameBytes = 1024;
inline constexpr size_t kMaxMetadataEntries = 4096;

// One tensor as the header describes it; nothing is checked against the data yet.
struct HeaderTensor {
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t begin;  // byte range in the data
  uint64_t end;
};

struct SafetensorsHeader {
  std::map<std::string, HeaderTensor, std::less<>> tensors;
};

// Reads the header's JSON: an object of tensors, each {"dtype", "shape", "data_offsets"} and
// nothing else, and "__metadata__" of strings, which are not kept. Names are unique and within the
// limits. Errors are INVALID_ARGUMENT and begin with `label`.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json,
                                                         absl::string_view label);

}  // namespace tern

#endif  // TERN_CHECKPOINT_SAFETENSORS_HEADER_H_
