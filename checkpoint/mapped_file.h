#ifndef TERN_CHECKPOINT_MAPPED_FILE_H_
#define TERN_CHECKPOINT_MAPPED_FILE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/readable_file.h"

namespace tern {

// A regular file mapped read-only into memory. The file must not shrink while it is mapped: a read
// past its new end is SIGBUS. Thread-safe.
class MappedFile {
 public:
  // NOT_FOUND when there is no such file, INVALID_ARGUMENT when it is not a regular one (folder,
  // pipe, device). An empty file has no bytes.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  // The whole of a file, which may be closed afterwards.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Map(const ReadableFile& file);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return bytes_; }
  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }

  // Hints about a part of bytes(). WillNeed starts reading it; Release gives its whole pages back,
  // to be read again from the file when touched: what bounds resident memory on large files.
  void WillNeed(std::span<const uint8_t> part) const;
  void Release(std::span<const uint8_t> part) const;

 private:
  explicit MappedFile(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  std::span<const uint8_t> bytes_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_MAPPED_FILE_H_
