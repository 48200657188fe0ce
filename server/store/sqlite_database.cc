#include "server/store/sqlite_database.h"

#include <sqlite3.h>

#include <cerrno>
#include <limits>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr int64_t kInfinitePastMicros = std::numeric_limits<int64_t>::min();
constexpr int64_t kInfiniteFutureMicros = std::numeric_limits<int64_t>::max();

bool IsDiskFull(sqlite3* database, int code) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  const int error = sqlite3_system_errno(database);
  return (code & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT || error == EFBIG);
}

}  // namespace

absl::Status SqliteError(sqlite3* database, absl::string_view path) {
  const int code = sqlite3_extended_errcode(database);
  const std::string what = absl::StrCat("database ", path, ": ", sqlite3_errmsg(database));
  if (IsDiskFull(database, code)) {
    return absl::ResourceExhaustedError(absl::StrCat(what, "; free disk space and try again"));
  }
  switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
      return absl::AlreadyExistsError(what);
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(
          absl::StrCat(what, "; restore it from a backup, or move it away to start empty"));
    case SQLITE_CONSTRAINT:
      return absl::FailedPreconditionError(what);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::FailedPreconditionError(
          absl::StrCat(what, "; check that its folder exists and may be written to"));
    default:
      return absl::UnavailableError(what);
  }
}

void SqliteStatement::Reset::operator()(sqlite3_stmt* statement) const {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

SqliteStatement& SqliteStatement::Int(int64_t value) {
  bind_result_ |= sqlite3_bind_int64(statement_.get(), ++bound_, value);
  return *this;
}

SqliteStatement& SqliteStatement::Double(double value) {
  bind_result_ |= sqlite3_bind_double(statement_.get(), ++bound_, value);
  return *this;
}

SqliteStatement& SqliteStatement::Text(absl::string_view value) {
  bind_result_ |=
      sqlite3_bind_text64(statement_.get(), ++bound_, value.data() != nullptr ? value.data() : "",
                          value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::Blob(absl::string_view value) {
  bind_result_ |=
      sqlite3_bind_blob64(statement_.get(), ++bound_, value.data() != nullptr ? value.data() : "",
                          value.size(), SQLITE_TRANSIENT);
  return *this;
}

SqliteStatement& SqliteStatement::Time(absl::Time value) { return Int(absl::ToUnixMicros(value)); }

absl::StatusOr<bool> SqliteStatement::Step() {
  sqlite3* const database = sqlite3_db_handle(statement_.get());
  if (bind_result_ != SQLITE_OK) return SqliteError(database, *path_);
  column_ = 0;
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return SqliteError(database, *path_);
}

absl::Status SqliteStatement::Run() { return Step().status(); }

int64_t SqliteStatement::ReadInt() { return sqlite3_column_int64(statement_.get(), column_++); }

double SqliteStatement::ReadDouble() { return sqlite3_column_double(statement_.get(), column_++); }

std::string SqliteStatement::ReadBytes() {
  const int column = column_++;
  const void* const data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

absl::Time SqliteStatement::ReadTime() {
  const int64_t micros = ReadInt();
  if (micros == kInfinitePastMicros) return absl::InfinitePast();
  if (micros == kInfiniteFutureMicros) return absl::InfiniteFuture();
  return absl::FromUnixMicros(micros);
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path,
                                                                     bool read_only,
                                                                     absl::Duration busy) {
  // A connection is used by one thread at a time, so it needs no mutex of its own.
  const int mode = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                      /*zVfs=*/nullptr);
  if (handle == nullptr) return absl::ResourceExhaustedError("out of memory opening a database");
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(handle, path));
  if (result != SQLITE_OK) return SqliteError(handle, path);
  sqlite3_busy_timeout(handle, static_cast<int>(absl::ToInt64Milliseconds(busy)));
  return database;
}

SqliteDatabase::~SqliteDatabase() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return SqliteError(db_, path_);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteDatabase::QueryValue(const std::string& sql) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement, Statement(sql));
  TERN_ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.ReadBytes() : std::string();
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Statement(const std::string& sql) {
  if (const auto it = statements_.find(sql); it != statements_.end()) {
    return SqliteStatement(it->second, path_);
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.c_str(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, /*pzTail=*/nullptr) != SQLITE_OK) {
    return SqliteError(db_, path_);
  }
  statements_.emplace(sql, statement);
  return SqliteStatement(statement, path_);
}

int64_t SqliteDatabase::Changes() const { return sqlite3_changes64(db_); }

int64_t SqliteDatabase::LastInsertId() const { return sqlite3_last_insert_rowid(db_); }

bool SqliteDatabase::InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

}  // namespace tern
