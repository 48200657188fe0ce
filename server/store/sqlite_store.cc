#include "server/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/status_macros.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_rows.h"
#include "server/store/sqlite_schema.h"

namespace tern {
namespace {

constexpr absl::Duration kBusyTimeout = absl::Seconds(10);
// How long a process that was just killed may take to let go of the file.
constexpr absl::Duration kLockTimeout = absl::Seconds(3);

// The right to use a database, held as long as the process lives and not by its children.
class FileLock {
 public:
  static absl::StatusOr<std::unique_ptr<FileLock>> Acquire(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return ErrnoStatus(errno, path, "create");
    std::unique_ptr<FileLock> lock(new FileLock(fd));
    const absl::Time deadline = absl::Now() + kLockTimeout;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (absl::Now() > deadline) {
        return absl::FailedPreconditionError(absl::StrCat(
            path, ": another process uses this data folder; stop it, or name another folder"));
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
    return lock;
  }
  ~FileLock() { close(fd_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  const int fd_;
};

class SqliteStore : public Store {
 public:
  SqliteStore(std::unique_ptr<FileLock> lock, std::unique_ptr<SqliteDatabase> writer)
      : lock_(std::move(lock)), writer_(std::move(writer)) {}

  absl::Status Transact(absl::FunctionRef<absl::Status(Transaction&)> body) override {
    const absl::MutexLock writing(&writer_mutex_);
    TERN_RETURN_IF_ERROR(writer_->Execute("BEGIN IMMEDIATE"));
    const absl::Cleanup roll_back = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (writer_->InTransaction()) writer_->Execute("ROLLBACK").IgnoreError();
    };
    SqliteRows rows(*writer_);
    TERN_RETURN_IF_ERROR(body(rows));
    return writer_->Execute("COMMIT");
  }

  absl::Status Read(absl::FunctionRef<absl::Status(StoreReader&)> body) override {
    TERN_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> reader, TakeReader());
    TERN_RETURN_IF_ERROR(reader->Execute("BEGIN"));
    SqliteRows rows(*reader);
    const absl::Status status = body(rows);
    // A reader that cannot end its transaction would see an old state for ever: it is dropped.
    if (reader->Execute("COMMIT").ok()) ReturnReader(std::move(reader));
    return status;
  }

 private:
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> TakeReader() {
    {
      const absl::MutexLock lock(&readers_mutex_);
      if (!readers_.empty()) {
        std::unique_ptr<SqliteDatabase> reader = std::move(readers_.back());
        readers_.pop_back();
        return reader;
      }
    }
    return SqliteDatabase::Open(path_, /*read_only=*/true, kBusyTimeout);
  }

  void ReturnReader(std::unique_ptr<SqliteDatabase> reader) {
    const absl::MutexLock lock(&readers_mutex_);
    readers_.push_back(std::move(reader));
  }

  const std::unique_ptr<FileLock> lock_;
  absl::Mutex writer_mutex_;
  const std::unique_ptr<SqliteDatabase> writer_ ABSL_PT_GUARDED_BY(writer_mutex_);
  const std::string path_ = writer_->path();
  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteDatabase>> readers_ ABSL_GUARDED_BY(readers_mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, FileLock::Acquire(path + ".lock"));
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> writer,
                        SqliteDatabase::Open(path, /*read_only=*/false, kBusyTimeout));
  TERN_RETURN_IF_ERROR(
      writer->Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                      "PRAGMA foreign_keys = ON; "
                      "PRAGMA journal_size_limit = 67108864;"));
  TERN_RETURN_IF_ERROR(MigrateSqliteSchema(*writer));
  return std::make_unique<SqliteStore>(std::move(lock), std::move(writer));
}

}  // namespace tern
