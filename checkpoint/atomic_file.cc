#include "checkpoint/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/readable_file.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

std::span<const uint8_t> AsBytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct SplitPath {
  std::string folder;
  std::string name;
};

SplitPath Split(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

std::string TemporaryPathBeside(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  const SplitPath target = Split(path);
  return absl::StrCat(target.folder, "/.", target.name, ".tmp-", getpid(), "-", ++counter);
}

absl::StatusOr<std::unique_ptr<AtomicFileWriter>> AtomicFileWriter::Open(const std::string& path) {
  while (true) {
    std::string temporary = TemporaryPathBeside(path);
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      return std::unique_ptr<AtomicFileWriter>(
          new AtomicFileWriter(path, std::move(temporary), fd));
    }
    if (errno != EEXIST) return ErrnoStatus(errno, path, "create");
  }
}

AtomicFileWriter::AtomicFileWriter(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

AtomicFileWriter::~AtomicFileWriter() {
  if (fd_ >= 0) close(fd_);
  if (!renamed_) unlink(temporary_.c_str());
}

absl::Status AtomicFileWriter::Append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, path_, "write");
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::Commit() {
  if (fsync(fd_) != 0) return ErrnoStatus(errno, path_, "sync");
  const int fd = std::exchange(fd_, -1);
  if (close(fd) != 0) return ErrnoStatus(errno, path_, "close");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return ErrnoStatus(errno, path_, "rename");
  renamed_ = true;
  return SyncFolder(Split(path_).folder);
}

absl::Status WriteFileAtomically(const std::string& path, std::span<const uint8_t> bytes) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer,
                        AtomicFileWriter::Open(path));
  TERN_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view text) {
  return WriteFileAtomically(path, AsBytes(text));
}

absl::Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path, "open");
  const absl::Cleanup close_fd = [fd] { close(fd); };
  if (fsync(fd) != 0) return ErrnoStatus(errno, path, "sync");
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, ReadableFile::Open(path));
  if (file->size() > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", file->size(), " bytes, but at most ",
                                                   max_bytes, " are read of a file of this kind"));
  }
  std::string content(static_cast<size_t>(file->size()), '\0');
  TERN_RETURN_IF_ERROR(file->Read(0, {reinterpret_cast<uint8_t*>(content.data()), content.size()}));
  return content;
}

}  // namespace tern
