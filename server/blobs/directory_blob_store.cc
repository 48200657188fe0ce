#include "server/blobs/directory_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// How often a writer and a deletion beside it may get in each other's way, one time after another.
constexpr int kAttempts = 100;

class FileBlobWriter : public BlobWriter {
 public:
  explicit FileBlobWriter(std::unique_ptr<AtomicFileWriter> file) : file_(std::move(file)) {}
  absl::Status Append(std::span<const uint8_t> bytes) override { return file_->Append(bytes); }
  absl::Status Commit() override { return file_->Commit(); }

 private:
  const std::unique_ptr<AtomicFileWriter> file_;
};

class FileBlobReader : public BlobReader {
 public:
  FileBlobReader(std::string path, int fd, int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}
  ~FileBlobReader() override { close(fd_); }
  FileBlobReader(const FileBlobReader&) = delete;
  FileBlobReader& operator=(const FileBlobReader&) = delete;

  int64_t size() const override { return size_; }

  absl::StatusOr<int64_t> ReadAt(int64_t offset, std::span<uint8_t> out) override {
    if (offset < 0 || offset > size_) {
      return absl::OutOfRangeError(
          absl::StrCat(path_, ": offset ", offset, " of ", size_, " bytes"));
    }
    size_t have = 0;
    while (have < out.size()) {
      const ssize_t got = pread(fd_, out.data() + have, out.size() - have,
                                static_cast<off_t>(offset + static_cast<int64_t>(have)));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, path_, "read");
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    return static_cast<int64_t>(have);
  }

 private:
  const std::string path_;
  const int fd_;
  const int64_t size_;
};

absl::Status FolderError(const std::error_code& error, const fs::path& path,
                         absl::string_view action) {
  return ErrnoStatus(error.value(), path.string(), action);
}

// Makes `folder` and the folders above it as far as `root`, durably.
absl::Status MakeFolders(const fs::path& root, const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return absl::OkStatus();
  if (folder != root) TERN_RETURN_IF_ERROR(MakeFolders(root, folder.parent_path()));
  fs::create_directory(folder, error);
  if (error) return FolderError(error, folder, "create folder");
  return SyncFolder(folder.parent_path().string());
}

class DirectoryBlobStore : public BlobStore {
 public:
  explicit DirectoryBlobStore(fs::path root) : root_(std::move(root)) {}

  absl::StatusOr<std::unique_ptr<BlobWriter>> Write(absl::string_view key) override {
    TERN_ASSIGN_OR_RETURN(const fs::path path, PathOf(key));
    absl::Status status;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      status = MakeFolders(root_, path.parent_path());
      if (status.ok()) {
        absl::StatusOr<std::unique_ptr<AtomicFileWriter>> file =
            AtomicFileWriter::Open(path.string());
        if (file.ok()) return std::make_unique<FileBlobWriter>(*std::move(file));
        status = file.status();
      }
      // A folder was empty and a deletion took it away in between, perhaps after another writer
      // made it and before it was seen to be a folder: once more.
      if (!absl::IsNotFound(status) && !absl::IsAlreadyExists(status)) return status;
    }
    return status;
  }

  absl::StatusOr<std::unique_ptr<BlobReader>> Read(absl::string_view key) override {
    TERN_ASSIGN_OR_RETURN(const fs::path path, PathOf(key));
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("blob ", key, " does not exist"));
    }
    if (fd < 0) return ErrnoStatus(errno, path.string(), "open");
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
      close(fd);
      return absl::NotFoundError(absl::StrCat("blob ", key, " does not exist"));
    }
    return std::make_unique<FileBlobReader>(path.string(), fd, info.st_size);
  }

  absl::Status Delete(absl::string_view key) override {
    TERN_ASSIGN_OR_RETURN(const fs::path path, PathOf(key));
    if (unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
      return ErrnoStatus(errno, path.string(), "delete");
    }
    RemoveEmptyFolders(path.parent_path());
    return absl::OkStatus();
  }

  absl::Status DeletePrefix(absl::string_view prefix) override {
    TERN_ASSIGN_OR_RETURN(const fs::path path, PathOf(prefix));
    std::error_code error;
    if (!fs::is_directory(path, error)) return absl::OkStatus();
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      fs::remove_all(path, error);
      // A writer added a file after its folder was read: once more.
      if (error != std::errc::directory_not_empty) break;
    }
    if (error) return FolderError(error, path, "delete");
    RemoveEmptyFolders(path.parent_path());
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) override {
    fs::path folder = root_;
    if (!prefix.empty()) {
      TERN_ASSIGN_OR_RETURN(folder, PathOf(prefix));
    }
    std::vector<std::string> keys;
    std::error_code error;
    fs::recursive_directory_iterator entries(folder, error);
    for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
      std::error_code gone;
      std::string key = entries->path().lexically_relative(root_).generic_string();
      if (entries->is_regular_file(gone) && IsValidBlobKey(key)) keys.push_back(std::move(key));
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      return FolderError(error, folder, "list");
    }
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  absl::StatusOr<int64_t> FreeBytes() override {
    struct statvfs info;
    if (statvfs(root_.c_str(), &info) != 0) return ErrnoStatus(errno, root_.string(), "stat");
    return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  }

  // Temporary files of writers that were killed: no valid key starts with a dot.
  absl::Status RemoveUnfinished() {
    std::vector<fs::path> unfinished;
    std::error_code error;
    fs::recursive_directory_iterator entries(root_, error);
    for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
      if (absl::StartsWith(entries->path().filename().string(), ".")) {
        unfinished.push_back(entries->path());
      }
    }
    if (error) return FolderError(error, root_, "list");
    for (const fs::path& path : unfinished) {
      fs::remove(path, error);
      if (error) return FolderError(error, path, "delete");
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<fs::path> PathOf(absl::string_view key) const {
    if (!IsValidBlobKey(key)) {
      return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is not a valid blob key"));
    }
    return root_ / std::string(key);
  }

  // What became empty by a deletion, so that removed jobs leave nothing.
  void RemoveEmptyFolders(fs::path folder) const {
    while (folder != root_ && rmdir(folder.c_str()) == 0) folder = folder.parent_path();
  }

  const fs::path root_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenDirectoryBlobStore(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FolderError(error, folder, "create folder");
  const fs::path root = fs::canonical(folder, error);
  if (error) return FolderError(error, folder, "open");
  auto store = std::make_unique<DirectoryBlobStore>(root);
  TERN_RETURN_IF_ERROR(store->RemoveUnfinished());
  return store;
}

}  // namespace tern
