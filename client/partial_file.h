#ifndef TERN_CLIENT_PARTIAL_FILE_H_
#define TERN_CLIENT_PARTIAL_FILE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/digest.h"

namespace tern {

// A file that is received piece by piece under a temporary name, possibly by several processes one
// after the other, and takes its own name once it is whole. What was received stays when the
// object goes. Errors name the file; a full disk is RESOURCE_EXHAUSTED. Thread-compatible.
class PartialFile {
 public:
  // Opens `temporary` for appending, creating it if missing; what it holds is read for the digest.
  static absl::StatusOr<std::unique_ptr<PartialFile>> Open(const std::string& temporary);

  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  int64_t size() const { return size_; }

  absl::Status Append(std::span<const uint8_t> bytes);

  // Makes the file durable and renames it to `path`. DATA_LOSS when its SHA-256 is not `sha256`.
  // Nothing may follow.
  absl::Status Finish(const std::string& sha256, const std::string& path);

 private:
  PartialFile(std::string temporary, int fd);

  absl::Status ReadBack();

  const std::string temporary_;
  int fd_;
  int64_t size_ = 0;
  Sha256 digest_;
};

}  // namespace tern

#endif  // TERN_CLIENT_PARTIAL_FILE_H_
