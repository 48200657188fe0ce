#ifndef TERN_SERVER_STORE_STORE_H_
#define TERN_SERVER_STORE_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/records.h"

namespace tern {

// Row operations that read, all from one consistent state. Their cost does not grow with the number
// of jobs that have ended, but for CountJobs and for ListJobs when few of many match. Used by one
// thread at a time, within the call of the function it was passed to.
//
// A missing row is nullopt; errors are the driver's (RESOURCE_EXHAUSTED disk full, DATA_LOSS
// damaged, UNAVAILABLE otherwise).
class StoreReader {
 public:
  virtual ~StoreReader() = default;

  virtual absl::StatusOr<std::optional<JobRecord>> GetJob(absl::string_view uid) = 0;
  virtual absl::StatusOr<std::optional<JobRecord>> FindJob(absl::string_view name_space,
                                                           absl::string_view id) = 0;
  // Newest first, at most query.limit.
  virtual absl::StatusOr<std::vector<JobRecord>> ListJobs(const JobQuery& query) = 0;
  virtual absl::StatusOr<std::map<JobState, int64_t>> CountJobs() = 0;

  virtual absl::StatusOr<std::optional<TaskRecord>> GetTask(absl::string_view job_uid,
                                                            absl::string_view name) = 0;
  // By rank.
  virtual absl::StatusOr<std::vector<TaskRecord>> ListTasks(absl::string_view job_uid) = 0;
  // Ready tasks after `after` that `room` suffices for, by job number and rank, whatever their
  // ready_time.
  virtual absl::StatusOr<std::vector<TaskRecord>> ListReadyTasks(const ReadyPosition& after,
                                                                 const WorkerRoom& room,
                                                                 int32_t limit) = 0;
  // Leased tasks with lease_deadline before `time`, the earliest first.
  virtual absl::StatusOr<std::vector<TaskRecord>> ListLeasesBefore(absl::Time time,
                                                                   int32_t limit) = 0;
  virtual absl::StatusOr<std::vector<TaskRecord>> ListLeasesOfWorker(absl::string_view worker) = 0;
  virtual absl::StatusOr<TaskCounts> CountTasks() = 0;

  // Events with a greater sequence, in order.
  virtual absl::StatusOr<std::vector<EventRecord>> ListEvents(absl::string_view job_uid,
                                                              int64_t after_sequence,
                                                              int32_t limit) = 0;

  virtual absl::StatusOr<std::optional<FileRecord>> GetFile(absl::string_view job_uid,
                                                            absl::string_view path) = 0;
  // Files with an index of at least `from_index`, by index, then path.
  virtual absl::StatusOr<std::vector<FileRecord>> ListFiles(absl::string_view job_uid,
                                                            int64_t from_index, int32_t limit) = 0;
  // Staged files of a task, or of all tasks of the job when `task` is empty; by task and path.
  virtual absl::StatusOr<std::vector<StagedFileRecord>> ListStagedFiles(absl::string_view job_uid,
                                                                        absl::string_view task) = 0;

  virtual absl::StatusOr<std::optional<RequestRecord>> GetRequest(absl::string_view name_space,
                                                                  absl::string_view request_id) = 0;
};

// Row operations that write. Updating a row that does not exist is NOT_FOUND.
class Transaction : public StoreReader {
 public:
  // Sets job.number. ALREADY_EXISTS when namespace and id, or the uid, are in use.
  virtual absl::Status InsertJob(JobRecord& job) = 0;
  // All but number, uid, namespace, id, create_time and labels.
  virtual absl::Status UpdateJob(const JobRecord& job) = 0;
  // With its tasks, events, files, staged files and requests.
  virtual absl::Status DeleteJob(absl::string_view uid) = 0;

  virtual absl::Status InsertTask(const TaskRecord& task) = 0;
  virtual absl::Status UpdateTask(const TaskRecord& task) = 0;
  // Every task of the job that is blocked, ready or leased becomes kDropped and keeps its epoch.
  virtual absl::Status DropTasks(absl::string_view job_uid) = 0;

  virtual absl::Status InsertEvent(const EventRecord& event) = 0;
  virtual absl::Status DeleteEventsThrough(absl::string_view job_uid, int64_t sequence) = 0;

  // ALREADY_EXISTS when the job has a file at that path.
  virtual absl::Status InsertFile(const FileRecord& file) = 0;
  virtual absl::Status DeleteFiles(absl::string_view job_uid) = 0;
  virtual absl::Status DeleteFile(absl::string_view job_uid, absl::string_view path) = 0;

  // Replaces the row of the same job, task and path.
  virtual absl::Status PutStagedFile(const StagedFileRecord& file) = 0;
  // Of one task, or of the whole job when `task` is empty.
  virtual absl::Status DeleteStagedFiles(absl::string_view job_uid, absl::string_view task) = 0;

  virtual absl::Status InsertRequest(const RequestRecord& request) = 0;
  virtual absl::Status DeleteRequestsBefore(absl::Time time) = 0;
};

// Where jobs, tasks, events and the names of files are kept. A driver knows rows, not what they
// mean: all rules are in server/jobs. Thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  // Runs `body` in a serialisable transaction. When it returns OK everything it wrote is durable
  // once Transact returns OK; otherwise none of it is visible, ever. Where the driver meets a
  // conflict with another transaction it runs `body` again from the start, so `body` sets what it
  // captures rather than adding to it. Transact is not called from within `body`.
  virtual absl::Status Transact(absl::FunctionRef<absl::Status(Transaction&)> body) = 0;

  // Runs `body` over one consistent, committed state, without waiting for writers.
  virtual absl::Status Read(absl::FunctionRef<absl::Status(StoreReader&)> body) = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_STORE_STORE_H_
