#ifndef TERN_CHECKPOINT_SAFETENSORS_WRITER_H_
#define TERN_CHECKPOINT_SAFETENSORS_WRITER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/dtype.h"

namespace tern {

// A tensor to be written. `bytes` must stay valid until the file is written.
struct TensorToWrite {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::span<const uint8_t> bytes;
};

// Receives consecutive pieces of a file.
using ByteSink = std::function<absl::Status(std::span<const uint8_t>)>;

// Everything about a tensor but its bytes.
struct TensorSpec {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;

  int64_t bytes() const;
};

// Writes header and data to `sink` in order. Tensors are laid out by falling alignment, then by
// name, and the header is padded to 8 bytes, so equal input gives equal bytes. A name that occurs
// twice, or bytes that do not match shape and dtype, are INVALID_ARGUMENT.
absl::Status WriteSafetensors(const std::vector<TensorToWrite>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              const ByteSink& sink);

// The same for tensors whose bytes are made as they are written: `produce(i, sink)` is called once
// for each, in the order of the file, and hands tensors[i].bytes() bytes to `sink`.
absl::Status WriteSafetensors(const std::vector<TensorSpec>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              const std::function<absl::Status(size_t, const ByteSink&)>& produce,
                              const ByteSink& sink);

// The first form into a file: temporary name, fsync, rename, fsync of the folder.
// RESOURCE_EXHAUSTED when the disk is full; nothing is left behind on failure.
absl::Status WriteSafetensorsFile(const std::string& path,
                                  const std::vector<TensorToWrite>& tensors,
                                  const std::map<std::string, std::string>& metadata);

}  // namespace tern

#endif  // TERN_CHECKPOINT_SAFETENSORS_WRITER_H_
