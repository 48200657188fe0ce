#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/status_macros.h"
#include "server/store/sqlite_rows.h"

namespace tern {
namespace {

// "4 6" a line.
std::string ProbesText(const std::vector<BitsProbe>& probes) {
  return absl::StrJoin(probes, "\n", [](std::string* line, const BitsProbe& probe) {
    absl::StrAppend(line, probe.previous_bits, " ", probe.bits);
  });
}

}  // namespace

absl::Status SqliteRows::ExpectChange(absl::string_view what) const {
  if (database_.Changes() > 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("database ", database_.path(), ": no row for ", what));
}

absl::Status SqliteRows::InsertJob(JobRecord& job) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("INSERT INTO jobs (uid, namespace, id, state, create_time, start_time, "
                          "end_time, document, tasks_total, tasks_done, blocks_total, blocks_done, "
                          "cost_total, cost_done, failed_attempts, worker_deaths, last_sequence, "
                          "oldest_sequence, last_file_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                          "?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  TERN_RETURN_IF_ERROR(statement.Text(job.uid)
                           .Text(job.name_space)
                           .Text(job.id)
                           .Int(static_cast<int64_t>(job.state))
                           .Time(job.create_time)
                           .Time(job.start_time)
                           .Time(job.end_time)
                           .Blob(job.document)
                           .Int(job.tasks_total)
                           .Int(job.tasks_done)
                           .Int(job.blocks_total)
                           .Int(job.blocks_done)
                           .Double(job.cost_total)
                           .Double(job.cost_done)
                           .Int(job.failed_attempts)
                           .Int(job.worker_deaths)
                           .Int(job.last_sequence)
                           .Int(job.oldest_sequence)
                           .Int(job.last_file_index)
                           .Run());
  job.number = database_.LastInsertId();

  for (const auto& [key, value] : job.labels) {
    TERN_ASSIGN_OR_RETURN(
        SqliteStatement row,
        database_.Statement("INSERT INTO job_labels (key, value, job_number) VALUES (?, ?, ?)"));
    TERN_RETURN_IF_ERROR(row.Text(key).Text(value).Int(job.number).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteRows::UpdateJob(const JobRecord& job) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("UPDATE jobs SET state = ?, start_time = ?, end_time = ?, document = ?, "
                          "tasks_total = ?, tasks_done = ?, blocks_total = ?, blocks_done = ?, "
                          "cost_total = ?, cost_done = ?, failed_attempts = ?, worker_deaths = ?, "
                          "last_sequence = ?, oldest_sequence = ?, last_file_index = ? "
                          "WHERE uid = ?"));
  TERN_RETURN_IF_ERROR(statement.Int(static_cast<int64_t>(job.state))
                           .Time(job.start_time)
                           .Time(job.end_time)
                           .Blob(job.document)
                           .Int(job.tasks_total)
                           .Int(job.tasks_done)
                           .Int(job.blocks_total)
                           .Int(job.blocks_done)
                           .Double(job.cost_total)
                           .Double(job.cost_done)
                           .Int(job.failed_attempts)
                           .Int(job.worker_deaths)
                           .Int(job.last_sequence)
                           .Int(job.oldest_sequence)
                           .Int(job.last_file_index)
                           .Text(job.uid)
                           .Run());
  return ExpectChange(absl::StrCat("job ", job.uid));
}

absl::Status SqliteRows::DeleteJob(absl::string_view uid) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("DELETE FROM jobs WHERE uid = ?"));
  TERN_RETURN_IF_ERROR(statement.Text(uid).Run());
  return ExpectChange(absl::StrCat("job ", uid));
}

absl::Status SqliteRows::InsertTask(const TaskRecord& task) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement(
          "INSERT INTO tasks (job_uid, name, job_number, kind, idx, shard, shard_first_block, "
          "first_window, windows, cost, dependents, waiting_for, state, ready_time, epoch, worker, "
          "supervisor, lease_time, lease_deadline, attempts, worker_deaths, errors, result, rank, "
          "memory_bytes, gpu_memory_bytes, probes) "
          "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
          "?)"));
  return statement.Text(task.job_uid)
      .Text(task.name)
      .Int(task.job_number)
      .Int(static_cast<int64_t>(task.kind))
      .Int(task.index)
      .Int(task.shard)
      .Int(task.shard_first_block)
      .Int(task.first_window)
      .Int(task.windows)
      .Double(task.cost)
      .Text(absl::StrJoin(task.dependents, "\n"))
      .Int(task.waiting_for)
      .Int(static_cast<int64_t>(task.state))
      .Time(task.ready_time)
      .Int(task.epoch)
      .Text(task.worker)
      .Text(task.supervisor)
      .Time(task.lease_time)
      .Time(task.lease_deadline)
      .Int(task.attempts)
      .Int(task.worker_deaths)
      .Blob(task.errors)
      .Blob(task.result)
      .Int(task.rank)
      .Int(task.memory_bytes)
      .Int(task.gpu_memory_bytes)
      .Text(ProbesText(task.probes))
      .Run();
}

absl::Status SqliteRows::UpdateTask(const TaskRecord& task) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("UPDATE tasks SET waiting_for = ?, state = ?, ready_time = ?, epoch = ?, "
                          "worker = ?, supervisor = ?, lease_time = ?, lease_deadline = ?, "
                          "attempts = ?, worker_deaths = ?, errors = ?, result = ? "
                          "WHERE job_uid = ? AND name = ?"));
  TERN_RETURN_IF_ERROR(statement.Int(task.waiting_for)
                           .Int(static_cast<int64_t>(task.state))
                           .Time(task.ready_time)
                           .Int(task.epoch)
                           .Text(task.worker)
                           .Text(task.supervisor)
                           .Time(task.lease_time)
                           .Time(task.lease_deadline)
                           .Int(task.attempts)
                           .Int(task.worker_deaths)
                           .Blob(task.errors)
                           .Blob(task.result)
                           .Text(task.job_uid)
                           .Text(task.name)
                           .Run());
  return ExpectChange(absl::StrCat("task ", task.job_uid, "/", task.name));
}

absl::Status SqliteRows::DropTasks(absl::string_view job_uid) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("UPDATE tasks SET state = 5 WHERE job_uid = ? AND state IN (1, 2, 3)"));
  return statement.Text(job_uid).Run();
}

absl::Status SqliteRows::InsertEvent(const EventRecord& event) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("INSERT INTO events (job_uid, sequence, event) VALUES (?, ?, ?)"));
  return statement.Text(event.job_uid).Int(event.sequence).Blob(event.event).Run();
}

absl::Status SqliteRows::DeleteEventsThrough(absl::string_view job_uid, int64_t sequence) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("DELETE FROM events WHERE job_uid = ? AND sequence <= ?"));
  return statement.Text(job_uid).Int(sequence).Run();
}

absl::Status SqliteRows::InsertFile(const FileRecord& file) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("INSERT INTO files (job_uid, path, idx, blob_key, size, sha256) VALUES "
                          "(?, ?, ?, ?, ?, ?)"));
  return statement.Text(file.job_uid)
      .Text(file.path)
      .Int(file.index)
      .Text(file.blob_key)
      .Int(file.size)
      .Text(file.sha256)
      .Run();
}

absl::Status SqliteRows::DeleteFiles(absl::string_view job_uid) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("DELETE FROM files WHERE job_uid = ?"));
  return statement.Text(job_uid).Run();
}

absl::Status SqliteRows::DeleteFile(absl::string_view job_uid, absl::string_view path) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("DELETE FROM files WHERE job_uid = ? AND path = ?"));
  return statement.Text(job_uid).Text(path).Run();
}

absl::Status SqliteRows::PutStagedFile(const StagedFileRecord& file) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("INSERT OR REPLACE INTO staged_files (job_uid, task, path, epoch, "
                          "blob_key, size, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)"));
  return statement.Text(file.job_uid)
      .Text(file.task)
      .Text(file.path)
      .Int(file.epoch)
      .Text(file.blob_key)
      .Int(file.size)
      .Text(file.sha256)
      .Run();
}

absl::Status SqliteRows::DeleteStagedFiles(absl::string_view job_uid, absl::string_view task) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement, database_.Statement(absl::StrCat(
                                                       "DELETE FROM staged_files WHERE job_uid = ?",
                                                       task.empty() ? "" : " AND task = ?")));
  statement.Text(job_uid);
  if (!task.empty()) statement.Text(task);
  return statement.Run();
}

absl::Status SqliteRows::InsertRequest(const RequestRecord& request) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("INSERT INTO requests (namespace, request_id, body_digest, job_uid, "
                          "create_time) VALUES (?, ?, ?, ?, ?)"));
  return statement.Text(request.name_space)
      .Text(request.request_id)
      .Text(request.body_digest)
      .Text(request.job_uid)
      .Time(request.create_time)
      .Run();
}

absl::Status SqliteRows::DeleteRequestsBefore(absl::Time time) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("DELETE FROM requests WHERE create_time < ?"));
  return statement.Time(time).Run();
}

}  // namespace tern
