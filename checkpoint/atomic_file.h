#ifndef TERN_CHECKPOINT_ATOMIC_FILE_H_
#define TERN_CHECKPOINT_ATOMIC_FILE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Writes a file that appears whole or not at all. Bytes go to a temporary name beside the target
// (".<name>.tmp-<process>-<number>"), which Commit makes durable and renames; the destructor
// removes it when Commit was not reached. Thread-compatible.
//
// Errors name the target path. A full disk, an exhausted quota or a file size limit is
// RESOURCE_EXHAUSTED.
class AtomicFileWriter {
 public:
  static absl::StatusOr<std::unique_ptr<AtomicFileWriter>> Open(const std::string& path);

  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  absl::Status Append(std::span<const uint8_t> bytes);

  // fsync, rename over the target, fsync of the folder. Nothing may follow.
  absl::Status Commit();

 private:
  AtomicFileWriter(std::string path, std::string temporary, int fd);

  std::string path_;
  std::string temporary_;
  int fd_;
  bool renamed_ = false;
};

// A name beside `path` for a file or folder that is to be renamed to it, different at every call of
// this process. What a process that was killed left behind may have the name already.
std::string TemporaryPathBeside(const std::string& path);

absl::Status WriteFileAtomically(const std::string& path, std::span<const uint8_t> bytes);
absl::Status WriteFileAtomically(const std::string& path, absl::string_view text);

// fsync of a folder: makes the names in it durable.
absl::Status SyncFolder(const std::string& path);

// The bytes of a regular file. INVALID_ARGUMENT when it is larger than `max_bytes`, DATA_LOSS when
// it shrinks meanwhile.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

}  // namespace tern

#endif  // TERN_CHECKPOINT_ATOMIC_FILE_H_
