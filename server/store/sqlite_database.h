#ifndef TERN_SERVER_STORE_SQLITE_DATABASE_H_
#define TERN_SERVER_STORE_SQLITE_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tern {

// A prepared statement in use: parameters are bound in order, then rows are stepped through and
// their columns read in order. Thread-compatible.
class SqliteStatement {
 public:
  // `path` names the file in errors and must outlive this.
  SqliteStatement(sqlite3_stmt* statement, const std::string& path)
      : statement_(statement), path_(&path) {}

  // Bind the next parameter. Text and blobs are copied.
  SqliteStatement& Int(int64_t value);
  SqliteStatement& Double(double value);
  SqliteStatement& Text(absl::string_view value);
  SqliteStatement& Blob(absl::string_view value);
  SqliteStatement& Time(absl::Time value);

  // True when there is a row.
  absl::StatusOr<bool> Step();
  // One step, whether it gives a row or not.
  absl::Status Run();

  // Read the next column of the row.
  int64_t ReadInt();
  double ReadDouble();
  std::string ReadBytes();
  absl::Time ReadTime();

 private:
  struct Reset {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Reset> statement_;
  const std::string* path_;
  int bound_ = 0;
  int column_ = 0;
  int bind_result_ = 0;
};

// A connection to a SQLite file. Thread-compatible.
class SqliteDatabase {
 public:
  // Opens (a writer also creates) the file. Waits up to `busy` for other connections' locks.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path,
                                                              bool read_only, absl::Duration busy);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Runs one or several statements and drops their rows.
  absl::Status Execute(const std::string& sql);

  // The one value of the one row of `sql`.
  absl::StatusOr<std::string> QueryValue(const std::string& sql);

  // Prepares `sql` the first time it is seen and keeps it. Only one SqliteStatement of a text may
  // be there at a time.
  absl::StatusOr<SqliteStatement> Statement(const std::string& sql);

  // Rows the last INSERT, UPDATE or DELETE changed.
  int64_t Changes() const;
  int64_t LastInsertId() const;
  bool InTransaction() const;

  const std::string& path() const { return path_; }

 private:
  SqliteDatabase(sqlite3* database, std::string path) : db_(database), path_(std::move(path)) {}

  sqlite3* const db_;
  const std::string path_;
  absl::flat_hash_map<std::string, sqlite3_stmt*> statements_;
};

// The connection's last error as a status that names the file. A conflict with another connection
// is UNAVAILABLE, a broken uniqueness rule ALREADY_EXISTS, any other broken rule
// FAILED_PRECONDITION.
absl::Status SqliteError(sqlite3* database, absl::string_view path);

}  // namespace tern

#endif  // TERN_SERVER_STORE_SQLITE_DATABASE_H_
