#ifndef TERN_CHECKPOINT_READABLE_FILE_H_
#define TERN_CHECKPOINT_READABLE_FILE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tern {

// A regular file that is read by system calls: what another process or a disk does to it meanwhile
// is an error of Read, where touching a mapping would be SIGBUS. Thread-safe.
class ReadableFile {
 public:
  // NOT_FOUND when there is no such file, INVALID_ARGUMENT when it is not a regular one (folder,
  // pipe, device).
  static absl::StatusOr<std::unique_ptr<ReadableFile>> Open(const std::string& path);

  ~ReadableFile();
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;

  const std::string& path() const { return path_; }
  // When it was opened.
  int64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }

  // Fills `out` with the bytes from `offset` on. DATA_LOSS when the file ends before.
  absl::Status Read(int64_t offset, std::span<uint8_t> out) const;

 private:
  ReadableFile(std::string path, int descriptor, int64_t size);

  const std::string path_;
  const int descriptor_;
  const int64_t size_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_READABLE_FILE_H_
