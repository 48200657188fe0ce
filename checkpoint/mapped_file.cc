#include "checkpoint/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "checkpoint/errno_status.h"
#include "checkpoint/status_macros.h"

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
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, ReadableFile::Open(path));
  return Map(*file);
}

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Map(const ReadableFile& file) {
  const auto size = static_cast<size_t>(file.size());
  const void* data = nullptr;
  if (size > 0) {
    data = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor(), 0);
    if (data == MAP_FAILED) return ErrnoStatus(errno, file.path(), "map");
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
