#include "client/partial_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/status_macros.h"

namespace tern {

absl::StatusOr<std::unique_ptr<PartialFile>> PartialFile::Open(const std::string& temporary) {
  const int fd =
      open(temporary.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return ErrnoStatus(errno, temporary, "open");
  auto file = absl::WrapUnique(new PartialFile(temporary, fd));
  TERN_RETURN_IF_ERROR(file->ReadBack());
  return file;
}

PartialFile::PartialFile(std::string temporary, int fd)
    : temporary_(std::move(temporary)), fd_(fd) {}

PartialFile::~PartialFile() { close(fd_); }

absl::Status PartialFile::ReadBack() {
  std::vector<uint8_t> buffer(1 << 20);
  while (true) {
    const ssize_t got = read(fd_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, temporary_, "read");
    if (got == 0) return absl::OkStatus();
    digest_.Update(std::span<const uint8_t>(buffer.data(), static_cast<size_t>(got)));
    size_ += got;
  }
}

absl::Status PartialFile::Append(std::span<const uint8_t> bytes) {
  digest_.Update(bytes);
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, temporary_, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    size_ += written;
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Finish(const std::string& sha256, const std::string& path) {
  const std::string actual = digest_.HexDigest();
  if (actual != sha256) {
    return absl::DataLossError(absl::StrCat(path, ": SHA-256 of what was received is ", actual,
                                            ", but the server says ", sha256));
  }
  if (fsync(fd_) != 0) return ErrnoStatus(errno, temporary_, "flush");
  if (rename(temporary_.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, path, "create");
  return SyncFolder(std::filesystem::path(path).parent_path().string());
}

}  // namespace tern
