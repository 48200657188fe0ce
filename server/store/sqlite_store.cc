#include "server/store/sqlite_store.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "checkpoint/status_macros.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_rows.h"
#include "server/store/sqlite_schema.h"

namespace tern {
namespace {

constexpr absl::Duration kBusyTimeout = absl::Seconds(10);

class SqliteStore : public Store {
 public:
  explicit SqliteStore(std::unique_ptr<SqliteDatabase> writer) : writer_(std::move(writer)) {}

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
    absl::Status status = body(rows);
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

  absl::Mutex writer_mutex_;
  const std::unique_ptr<SqliteDatabase> writer_ ABSL_PT_GUARDED_BY(writer_mutex_);
  const std::string path_ = writer_->path();
  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteDatabase>> readers_ ABSL_GUARDED_BY(readers_mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> writer,
                        SqliteDatabase::Open(path, /*read_only=*/false, kBusyTimeout));
  TERN_RETURN_IF_ERROR(
      writer->Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                      "PRAGMA foreign_keys = ON; "
                      "PRAGMA journal_size_limit = 67108864;"));
  TERN_RETURN_IF_ERROR(MigrateSqliteSchema(*writer));
  return std::make_unique<SqliteStore>(std::move(writer));
}

}  // namespace tern
