#ifndef TERN_CHECKPOINT_SAFETENSORS_LAYOUT_H_
#define TERN_CHECKPOINT_SAFETENSORS_LAYOUT_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/readable_file.h"
#include "checkpoint/safetensors_header.h"

namespace tern {

// Where the tensors of a safetensors file lie. The file is hostile input: header at most 100 MB and
// inside the file, valid JSON without duplicate names, known dtypes, shape × dtype equal to the
// byte range, ranges contiguous without holes or overlap, nothing after the last one.
struct SafetensorsLayout {
  SafetensorsHeader header;
  uint64_t data_begin = 0;  // in the file; the header's ranges count from here
};

// Of a file, of which only the header is read, and of bytes in memory, which errors call `label`.
// INVALID_ARGUMENT names file and tensor.
absl::StatusOr<SafetensorsLayout> ReadSafetensorsLayout(const ReadableFile& file);
absl::StatusOr<SafetensorsLayout> ReadSafetensorsLayout(std::span<const uint8_t> bytes,
                                                        const std::string& label);

}  // namespace tern

#endif  // TERN_CHECKPOINT_SAFETENSORS_LAYOUT_H_
