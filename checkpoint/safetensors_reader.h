#ifndef TERN_CHECKPOINT_SAFETENSORS_READER_H_
#define TERN_CHECKPOINT_SAFETENSORS_READER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/dtype.h"
#include "checkpoint/mapped_file.h"
#include "checkpoint/safetensors_layout.h"

namespace tern {

// One tensor of a safetensors file: where its bytes lie, and how to read them.
struct TensorView {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::span<const uint8_t> bytes;  // shape × dtype bytes, row-major, little endian; unaligned

  int64_t elements() const;  // product of shape; 1 for a scalar
};

// "[4096,11008]": a shape as error messages print it.
std::string ShapeString(std::span<const int64_t> shape);

// A memory-mapped safetensors file, opened as hostile input (see SafetensorsLayout). Errors are
// INVALID_ARGUMENT and name the file and tensor (NOT_FOUND when the file is missing). Opening reads
// the header by system calls: who touches no tensor's bytes is safe from a file that shrinks.
//
// Thread-safe after Open. Views point into the mapping and live as long as the reader.
class SafetensorsReader {
 public:
  static absl::StatusOr<std::unique_ptr<SafetensorsReader>> Open(const std::string& path);

  // The same checks on bytes already in memory, which must outlive the reader. `label` names them
  // in errors.
  static absl::StatusOr<std::unique_ptr<SafetensorsReader>> Parse(std::span<const uint8_t> bytes,
                                                                  const std::string& label);

  // NOT_FOUND names the tensor and the file.
  absl::StatusOr<TensorView> Get(absl::string_view name) const;
  bool Has(absl::string_view name) const;

  // Bytes of all tensors.
  int64_t data_bytes() const;

  // Lets go of the memory behind a tensor that was read; touching it again reads the file again.
  void Release(const TensorView& tensor) const;

  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const std::string& path() const { return path_; }

 private:
  SafetensorsReader(std::string path, const SafetensorsLayout& layout,
                    std::span<const uint8_t> bytes);

  std::string path_;
  std::unique_ptr<MappedFile> file_;
  std::map<std::string, TensorView, std::less<>> tensors_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_SAFETENSORS_READER_H_
