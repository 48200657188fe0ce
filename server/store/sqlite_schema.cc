#include "server/store/sqlite_schema.h"

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

// "TERN": marks the file as ours.
constexpr int64_t kApplicationId = 0x5445524e;

// Migration i brings schema i to i + 1. One that was released is never changed.
constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  state INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  end_time INTEGER NOT NULL,
  document BLOB NOT NULL,
  tasks_total INTEGER NOT NULL,
  tasks_done INTEGER NOT NULL,
  blocks_total INTEGER NOT NULL,
  blocks_done INTEGER NOT NULL,
  cost_total REAL NOT NULL,
  cost_done REAL NOT NULL,
  failed_attempts INTEGER NOT NULL,
  worker_deaths INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  oldest_sequence INTEGER NOT NULL,
  last_file_index INTEGER NOT NULL,
  UNIQUE (namespace, id)
);
CREATE INDEX jobs_by_state ON jobs (state, number);

CREATE TABLE job_labels (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  PRIMARY KEY (key, value, job_number)
) WITHOUT ROWID;
CREATE INDEX job_labels_by_job ON job_labels (job_number);

CREATE TABLE tasks (
  job_uid TEXT NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
  name TEXT NOT NULL,
  job_number INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  shard_first_block INTEGER NOT NULL,
  first_window INTEGER NOT NULL,
  windows INTEGER NOT NULL,
  cost REAL NOT NULL,
  dependents TEXT NOT NULL,
  waiting_for INTEGER NOT NULL,
  state INTEGER NOT NULL,
  ready_time INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  worker TEXT NOT NULL,
  supervisor TEXT NOT NULL,
  lease_time INTEGER NOT NULL,
  lease_deadline INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  worker_deaths INTEGER NOT NULL,
  errors BLOB NOT NULL,
  result BLOB NOT NULL,
  PRIMARY KEY (job_uid, name)
);
CREATE INDEX tasks_ready ON tasks (job_number, kind, idx) WHERE state = 2;
CREATE INDEX tasks_leased ON tasks (lease_deadline) WHERE state = 3;
CREATE INDEX tasks_of_worker ON tasks (worker) WHERE state = 3;

CREATE TABLE events (
  job_uid TEXT NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  event BLOB NOT NULL,
  PRIMARY KEY (job_uid, sequence)
) WITHOUT ROWID;

CREATE TABLE files (
  job_uid TEXT NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
  path TEXT NOT NULL,
  idx INTEGER NOT NULL,
  blob_key TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (job_uid, path)
) WITHOUT ROWID;
CREATE INDEX files_in_order ON files (job_uid, idx);

CREATE TABLE staged_files (
  job_uid TEXT NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
  task TEXT NOT NULL,
  path TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  blob_key TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (job_uid, task, path)
) WITHOUT ROWID;

CREATE TABLE requests (
  namespace TEXT NOT NULL,
  request_id TEXT NOT NULL,
  body_digest TEXT NOT NULL,
  job_uid TEXT NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (namespace, request_id)
) WITHOUT ROWID;
CREATE INDEX requests_by_job ON requests (job_uid);
CREATE INDEX requests_by_time ON requests (create_time);
)sql",
    // Jobs from before ranks were cut into tasks of four kinds, handed out by kind and index.
    R"sql(
ALTER TABLE tasks ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET rank = kind * 16777216 + idx;
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (job_number, rank) WHERE state = 2;
)sql",
    // Tasks from before go to any worker, as they did.
    R"sql(
ALTER TABLE tasks ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN gpu_memory_bytes INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
ALTER TABLE tasks ADD COLUMN probes TEXT NOT NULL DEFAULT '';
)sql",
};
constexpr int64_t kNewestSchema = std::size(kMigrations);

absl::StatusOr<int64_t> QueryInt(SqliteDatabase& database, const std::string& sql) {
  TERN_ASSIGN_OR_RETURN(const std::string value, database.QueryValue(sql));
  int64_t number = 0;
  if (!absl::SimpleAtoi(value, &number)) return absl::DataLossError(sql + ": not a number");
  return number;
}

absl::Status CheckIsOurs(SqliteDatabase& database) {
  TERN_ASSIGN_OR_RETURN(const int64_t tables,
                        QueryInt(database, "SELECT count(*) FROM sqlite_master"));
  TERN_ASSIGN_OR_RETURN(const int64_t id, QueryInt(database, "PRAGMA application_id"));
  if (tables == 0 || id == kApplicationId) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("database ", database.path(), ": belongs to another program; name another one"));
}

absl::Status CheckUndamaged(SqliteDatabase& database) {
  TERN_ASSIGN_OR_RETURN(const std::string verdict, database.QueryValue("PRAGMA quick_check(1)"));
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("database ", database.path(), ": damaged (", verdict,
                   "); restore it from a backup, or move it away to start empty"));
}

absl::Status Apply(SqliteDatabase& database, int64_t migration) {
  absl::Status status = database.Execute(absl::StrCat(
      "BEGIN IMMEDIATE;", kMigrations[migration], "PRAGMA application_id = ", kApplicationId,
      "; PRAGMA user_version = ", migration + 1, "; COMMIT;"));
  if (!status.ok() && database.InTransaction()) database.Execute("ROLLBACK").IgnoreError();
  return status;
}

}  // namespace

absl::Status MigrateSqliteSchema(SqliteDatabase& database) {
  TERN_RETURN_IF_ERROR(CheckUndamaged(database));
  TERN_RETURN_IF_ERROR(CheckIsOurs(database));
  TERN_ASSIGN_OR_RETURN(int64_t schema, QueryInt(database, "PRAGMA user_version"));
  if (schema > kNewestSchema) {
    return absl::FailedPreconditionError(
        absl::StrCat("database ", database.path(), ": written by a newer version of Tern (schema ",
                     schema, ", this version knows ", kNewestSchema,
                     "); start that version, or name another data folder"));
  }
  for (; schema < kNewestSchema; ++schema) TERN_RETURN_IF_ERROR(Apply(database, schema));
  return absl::OkStatus();
}

}  // namespace tern
