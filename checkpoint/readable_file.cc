#include "checkpoint/readable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/errno_status.h"

namespace tern {

absl::StatusOr<std::unique_ptr<ReadableFile>> ReadableFile::Open(const std::string& path) {
  // Without O_NONBLOCK opening a pipe would wait for its writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return ErrnoStatus(errno, path, "open");
  struct stat info = {};
  const int failed = fstat(descriptor, &info);
  const int error = errno;
  std::unique_ptr<ReadableFile> file(new ReadableFile(path, descriptor, info.st_size));
  if (failed != 0) return ErrnoStatus(error, path, "stat");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  return file;
}

ReadableFile::ReadableFile(std::string path, int descriptor, int64_t size)
    : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

ReadableFile::~ReadableFile() { close(descriptor_); }

absl::Status ReadableFile::Read(int64_t offset, std::span<uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t got = pread(descriptor_, out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, path_, "read");
    if (got == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, ": ends at byte ", offset, ": was it cut while it was read?"));
    }
    offset += got;
    out = out.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

}  // namespace tern
