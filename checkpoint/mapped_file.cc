#include "checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/errno_status.h"

namespace tern {
namespace {

size_t PageSize() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// How far into its page a byte lies.
size_t PageOffset(const uint8_t* byte) { return reinterpret_cast<uintptr_t>(byte) % PageSize(); }

}  // namespace

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path) {
  // Without O_NONBLOCK opening a pipe would wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoStatus(errno, path, "open");
  const absl::Cleanup close_fd = [fd] { close(fd); };

  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, path, "stat");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  const void* data = nullptr;
  if (size > 0) {
    data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) return ErrnoStatus(errno, path, "map");
  }
  return std::unique_ptr<MappedFile>(new MappedFile({static_cast<const uint8_t*>(data), size}));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

void MappedFile::WillNeed(std::span<const uint8_t> part) const {
  if (part.empty()) return;
  const size_t before = PageOffset(part.data());
  madvise(const_cast<uint8_t*>(part.data() - before), part.size() + before, MADV_WILLNEED);
}

void MappedFile::Release(std::span<const uint8_t> part) const {
  // Inner pages only: those at the ends are shared with the neighbours.
  const size_t skipped = (PageSize() - PageOffset(part.data())) % PageSize();
  if (part.size() < skipped + PageSize()) return;
  const size_t whole_pages = (part.size() - skipped) / PageSize() * PageSize();
  madvise(const_cast<uint8_t*>(part.data() + skipped), whole_pages, MADV_DONTNEED);
}

}  // namespace tern
