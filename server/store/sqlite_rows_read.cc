#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "checkpoint/status_macros.h"
#include "server/store/sqlite_rows.h"

namespace tern {
namespace {

constexpr char kJobColumns[] =
    "number, uid, namespace, id, state, create_time, start_time, end_time, document, tasks_total, "
    "tasks_done, blocks_total, blocks_done, cost_total, cost_done, failed_attempts, worker_deaths, "
    "last_sequence, oldest_sequence, last_file_index";

constexpr char kTaskColumns[] =
    "job_uid, name, job_number, kind, idx, shard, shard_first_block, first_window, windows, cost, "
    "dependents, waiting_for, state, ready_time, epoch, worker, supervisor, lease_time, "
    "lease_deadline, attempts, worker_deaths, errors, result, rank, memory_bytes, "
    "gpu_memory_bytes, probes";

JobRecord ReadJob(SqliteStatement& row) {
  JobRecord job;
  job.number = row.ReadInt();
  job.uid = row.ReadBytes();
  job.name_space = row.ReadBytes();
  job.id = row.ReadBytes();
  job.state = static_cast<JobState>(row.ReadInt());
  job.create_time = row.ReadTime();
  job.start_time = row.ReadTime();
  job.end_time = row.ReadTime();
  job.document = row.ReadBytes();
  job.tasks_total = static_cast<int32_t>(row.ReadInt());
  job.tasks_done = static_cast<int32_t>(row.ReadInt());
  job.blocks_total = static_cast<int32_t>(row.ReadInt());
  job.blocks_done = static_cast<int32_t>(row.ReadInt());
  job.cost_total = row.ReadDouble();
  job.cost_done = row.ReadDouble();
  job.failed_attempts = static_cast<int32_t>(row.ReadInt());
  job.worker_deaths = static_cast<int32_t>(row.ReadInt());
  job.last_sequence = row.ReadInt();
  job.oldest_sequence = row.ReadInt();
  job.last_file_index = row.ReadInt();
  return job;
}

std::vector<BitsProbe> ReadProbes(SqliteStatement& row) {
  std::vector<BitsProbe> probes;
  const std::string text = row.ReadBytes();
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> bits = absl::StrSplit(line, ' ');
    BitsProbe& probe = probes.emplace_back();
    (void)absl::SimpleAtoi(bits.first, &probe.previous_bits);
    (void)absl::SimpleAtoi(bits.second, &probe.bits);
  }
  return probes;
}

TaskRecord ReadTask(SqliteStatement& row) {
  TaskRecord task;
  task.job_uid = row.ReadBytes();
  task.name = row.ReadBytes();
  task.job_number = row.ReadInt();
  task.kind = static_cast<TaskKind>(row.ReadInt());
  task.index = static_cast<int32_t>(row.ReadInt());
  task.shard = static_cast<int32_t>(row.ReadInt());
  task.shard_first_block = static_cast<int32_t>(row.ReadInt());
  task.first_window = static_cast<int32_t>(row.ReadInt());
  task.windows = static_cast<int32_t>(row.ReadInt());
  task.cost = row.ReadDouble();
  task.dependents = absl::StrSplit(row.ReadBytes(), '\n', absl::SkipEmpty());
  task.waiting_for = static_cast<int32_t>(row.ReadInt());
  task.state = static_cast<TaskState>(row.ReadInt());
  task.ready_time = row.ReadTime();
  task.epoch = row.ReadInt();
  task.worker = row.ReadBytes();
  task.supervisor = row.ReadBytes();
  task.lease_time = row.ReadTime();
  task.lease_deadline = row.ReadTime();
  task.attempts = static_cast<int32_t>(row.ReadInt());
  task.worker_deaths = static_cast<int32_t>(row.ReadInt());
  task.errors = row.ReadBytes();
  task.result = row.ReadBytes();
  task.rank = static_cast<int32_t>(row.ReadInt());
  task.memory_bytes = row.ReadInt();
  task.gpu_memory_bytes = row.ReadInt();
  task.probes = ReadProbes(row);
  return task;
}

EventRecord ReadEvent(SqliteStatement& row) {
  EventRecord event;
  event.job_uid = row.ReadBytes();
  event.sequence = row.ReadInt();
  event.event = row.ReadBytes();
  return event;
}

FileRecord ReadFileRow(SqliteStatement& row) {
  FileRecord file;
  file.job_uid = row.ReadBytes();
  file.path = row.ReadBytes();
  file.index = row.ReadInt();
  file.blob_key = row.ReadBytes();
  file.size = row.ReadInt();
  file.sha256 = row.ReadBytes();
  return file;
}

StagedFileRecord ReadStagedFile(SqliteStatement& row) {
  StagedFileRecord file;
  file.job_uid = row.ReadBytes();
  file.task = row.ReadBytes();
  file.path = row.ReadBytes();
  file.epoch = row.ReadInt();
  file.blob_key = row.ReadBytes();
  file.size = row.ReadInt();
  file.sha256 = row.ReadBytes();
  return file;
}

RequestRecord ReadRequest(SqliteStatement& row) {
  RequestRecord request;
  request.name_space = row.ReadBytes();
  request.request_id = row.ReadBytes();
  request.body_digest = row.ReadBytes();
  request.job_uid = row.ReadBytes();
  request.create_time = row.ReadTime();
  return request;
}

template <typename Record>
absl::StatusOr<std::vector<Record>> ReadAll(SqliteStatement& statement,
                                            Record (*read)(SqliteStatement&)) {
  std::vector<Record> records;
  while (true) {
    TERN_ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return records;
    records.push_back(read(statement));
  }
}

template <typename Record>
absl::StatusOr<std::optional<Record>> ReadOne(SqliteStatement& statement,
                                              Record (*read)(SqliteStatement&)) {
  TERN_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return std::nullopt;
  return std::make_optional(read(statement));
}

std::string Placeholders(size_t count) {
  return absl::StrJoin(std::vector<std::string>(count, "?"), ", ");
}

std::string ListJobsSql(const JobQuery& query) {
  std::string sql = absl::StrCat("SELECT ", kJobColumns,
                                 " FROM jobs WHERE number < ? AND create_time > ? AND "
                                 "create_time < ?");
  if (!query.name_space.empty()) absl::StrAppend(&sql, " AND namespace = ?");
  if (!query.states.empty()) {
    absl::StrAppend(&sql, " AND state IN (", Placeholders(query.states.size()), ")");
  }
  if (!query.not_states.empty()) {
    absl::StrAppend(&sql, " AND state NOT IN (", Placeholders(query.not_states.size()), ")");
  }
  for (size_t i = 0; i < query.labels.size(); ++i) {
    absl::StrAppend(&sql,
                    " AND EXISTS (SELECT 1 FROM job_labels WHERE key = ? AND value = ? AND "
                    "job_number = jobs.number)");
  }
  absl::StrAppend(&sql, " ORDER BY number DESC LIMIT ?");
  return sql;
}

}  // namespace

absl::StatusOr<std::optional<JobRecord>> SqliteRows::GetJob(absl::string_view uid) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement(absl::StrCat("SELECT ", kJobColumns, " FROM jobs WHERE uid = ?")));
  statement.Text(uid);
  return ReadOne(statement, ReadJob);
}

absl::StatusOr<std::optional<JobRecord>> SqliteRows::FindJob(absl::string_view name_space,
                                                             absl::string_view id) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement(absl::StrCat(
                            "SELECT ", kJobColumns, " FROM jobs WHERE namespace = ? AND id = ?")));
  statement.Text(name_space).Text(id);
  return ReadOne(statement, ReadJob);
}

absl::StatusOr<std::vector<JobRecord>> SqliteRows::ListJobs(const JobQuery& query) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement, database_.Statement(ListJobsSql(query)));
  statement.Int(query.before_number).Time(query.created_after).Time(query.created_before);
  if (!query.name_space.empty()) statement.Text(query.name_space);
  for (const JobState state : query.states) statement.Int(static_cast<int64_t>(state));
  for (const JobState state : query.not_states) statement.Int(static_cast<int64_t>(state));
  for (const auto& [key, value] : query.labels) statement.Text(key).Text(value);
  statement.Int(query.limit);
  return ReadAll(statement, ReadJob);
}

absl::StatusOr<std::map<JobState, int64_t>> SqliteRows::CountJobs() {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("SELECT state, count(*) FROM jobs GROUP BY state"));
  std::map<JobState, int64_t> counts;
  while (true) {
    TERN_ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return counts;
    const auto state = static_cast<JobState>(statement.ReadInt());
    counts[state] = statement.ReadInt();
  }
}

absl::StatusOr<std::optional<TaskRecord>> SqliteRows::GetTask(absl::string_view job_uid,
                                                              absl::string_view name) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement(
          absl::StrCat("SELECT ", kTaskColumns, " FROM tasks WHERE job_uid = ? AND name = ?")));
  statement.Text(job_uid).Text(name);
  return ReadOne(statement, ReadTask);
}

absl::StatusOr<std::vector<TaskRecord>> SqliteRows::ListTasks(absl::string_view job_uid) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement(
          absl::StrCat("SELECT ", kTaskColumns, " FROM tasks WHERE job_uid = ? ORDER BY rank")));
  statement.Text(job_uid);
  return ReadAll(statement, ReadTask);
}

absl::StatusOr<std::vector<TaskRecord>> SqliteRows::ListReadyTasks(const ReadyPosition& after,
                                                                   const WorkerRoom& room,
                                                                   int32_t limit) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement(absl::StrCat(
                            "SELECT ", kTaskColumns,
                            " FROM tasks WHERE state = 2 AND (job_number, rank) > (?, ?) AND ",
                            room.on_gpu ? "gpu_memory_bytes" : "memory_bytes",
                            " <= ? ORDER BY job_number, rank LIMIT ?")));
  statement.Int(after.job_number).Int(after.rank).Int(room.memory_bytes).Int(limit);
  return ReadAll(statement, ReadTask);
}

absl::StatusOr<std::vector<TaskRecord>> SqliteRows::ListLeasesBefore(absl::Time time,
                                                                     int32_t limit) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement(absl::StrCat("SELECT ", kTaskColumns,
                                       " FROM tasks WHERE state = 3 AND lease_deadline < ? "
                                       "ORDER BY lease_deadline LIMIT ?")));
  statement.Time(time).Int(limit);
  return ReadAll(statement, ReadTask);
}

absl::StatusOr<std::vector<TaskRecord>> SqliteRows::ListLeasesOfWorker(absl::string_view worker) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement(absl::StrCat(
                            "SELECT ", kTaskColumns,
                            " FROM tasks WHERE state = 3 AND worker = ? ORDER BY job_uid, name")));
  statement.Text(worker);
  return ReadAll(statement, ReadTask);
}

absl::StatusOr<TaskCounts> SqliteRows::CountTasks() {
  TaskCounts counts;
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement ready,
      database_.Statement("SELECT count(*), coalesce(min(ready_time), 9223372036854775807) "
                          "FROM tasks WHERE state = 2"));
  TERN_RETURN_IF_ERROR(ready.Run());
  counts.ready = ready.ReadInt();
  counts.oldest_ready_time = ready.ReadTime();
  TERN_ASSIGN_OR_RETURN(SqliteStatement leased,
                        database_.Statement("SELECT count(*) FROM tasks WHERE state = 3"));
  TERN_RETURN_IF_ERROR(leased.Run());
  counts.leased = leased.ReadInt();
  return counts;
}

absl::StatusOr<std::vector<EventRecord>> SqliteRows::ListEvents(absl::string_view job_uid,
                                                                int64_t after_sequence,
                                                                int32_t limit) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("SELECT job_uid, sequence, event FROM events WHERE "
                                            "job_uid = ? AND sequence > ? ORDER BY sequence "
                                            "LIMIT ?"));
  statement.Text(job_uid).Int(after_sequence).Int(limit);
  return ReadAll(statement, ReadEvent);
}

absl::StatusOr<std::optional<FileRecord>> SqliteRows::GetFile(absl::string_view job_uid,
                                                              absl::string_view path) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("SELECT job_uid, path, idx, blob_key, size, sha256 FROM "
                          "files WHERE job_uid = ? AND path = ?"));
  statement.Text(job_uid).Text(path);
  return ReadOne(statement, ReadFileRow);
}

absl::StatusOr<std::vector<FileRecord>> SqliteRows::ListFiles(absl::string_view job_uid,
                                                              int64_t from_index, int32_t limit) {
  TERN_ASSIGN_OR_RETURN(
      SqliteStatement statement,
      database_.Statement("SELECT job_uid, path, idx, blob_key, size, sha256 FROM "
                          "files WHERE job_uid = ? AND idx >= ? ORDER BY idx, path "
                          "LIMIT ?"));
  statement.Text(job_uid).Int(from_index).Int(limit);
  return ReadAll(statement, ReadFileRow);
}

absl::StatusOr<std::vector<StagedFileRecord>> SqliteRows::ListStagedFiles(absl::string_view job_uid,
                                                                          absl::string_view task) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement(absl::StrCat(
                            "SELECT job_uid, task, path, epoch, blob_key, size, sha256 "
                            "FROM staged_files WHERE job_uid = ?",
                            task.empty() ? "" : " AND task = ?", " ORDER BY task, path")));
  statement.Text(job_uid);
  if (!task.empty()) statement.Text(task);
  return ReadAll(statement, ReadStagedFile);
}

absl::StatusOr<std::optional<RequestRecord>> SqliteRows::GetRequest(absl::string_view name_space,
                                                                    absl::string_view request_id) {
  TERN_ASSIGN_OR_RETURN(SqliteStatement statement,
                        database_.Statement("SELECT namespace, request_id, body_digest, job_uid, "
                                            "create_time FROM requests WHERE namespace = ? AND "
                                            "request_id = ?"));
  statement.Text(name_space).Text(request_id);
  return ReadOne(statement, ReadRequest);
}

}  // namespace tern
