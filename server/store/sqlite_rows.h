#ifndef TERN_SERVER_STORE_SQLITE_ROWS_H_
#define TERN_SERVER_STORE_SQLITE_ROWS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/store/sqlite_database.h"
#include "server/store/store.h"

namespace tern {

// The store's row operations on a connection that is in a transaction. On a read-only connection
// those of StoreReader work. Thread-compatible.
class SqliteRows : public Transaction {
 public:
  // `database` must outlive this.
  explicit SqliteRows(SqliteDatabase& database) : database_(database) {}

  absl::StatusOr<std::optional<JobRecord>> GetJob(absl::string_view uid) override;
  absl::StatusOr<std::optional<JobRecord>> FindJob(absl::string_view name_space,
                                                   absl::string_view id) override;
  absl::StatusOr<std::vector<JobRecord>> ListJobs(const JobQuery& query) override;
  absl::StatusOr<std::map<JobState, int64_t>> CountJobs() override;
  absl::StatusOr<std::optional<TaskRecord>> GetTask(absl::string_view job_uid,
                                                    absl::string_view name) override;
  absl::StatusOr<std::vector<TaskRecord>> ListTasks(absl::string_view job_uid) override;
  absl::StatusOr<std::vector<TaskRecord>> ListReadyTasks(const ReadyPosition& after,
                                                         const WorkerRoom& room,
                                                         int32_t limit) override;
  absl::StatusOr<std::vector<TaskRecord>> ListLeasesBefore(absl::Time time, int32_t limit) override;
  absl::StatusOr<std::vector<TaskRecord>> ListLeasesOfWorker(absl::string_view worker) override;
  absl::StatusOr<TaskCounts> CountTasks() override;
  absl::StatusOr<std::vector<EventRecord>> ListEvents(absl::string_view job_uid,
                                                      int64_t after_sequence,
                                                      int32_t limit) override;
  absl::StatusOr<std::optional<FileRecord>> GetFile(absl::string_view job_uid,
                                                    absl::string_view path) override;
  absl::StatusOr<std::vector<FileRecord>> ListFiles(absl::string_view job_uid, int64_t from_index,
                                                    int32_t limit) override;
  absl::StatusOr<std::vector<StagedFileRecord>> ListStagedFiles(absl::string_view job_uid,
                                                                absl::string_view task) override;
  absl::StatusOr<std::optional<RequestRecord>> GetRequest(absl::string_view name_space,
                                                          absl::string_view request_id) override;

  absl::Status InsertJob(JobRecord& job) override;
  absl::Status UpdateJob(const JobRecord& job) override;
  absl::Status DeleteJob(absl::string_view uid) override;
  absl::Status InsertTask(const TaskRecord& task) override;
  absl::Status UpdateTask(const TaskRecord& task) override;
  absl::Status DropTasks(absl::string_view job_uid) override;
  absl::Status InsertEvent(const EventRecord& event) override;
  absl::Status DeleteEventsThrough(absl::string_view job_uid, int64_t sequence) override;
  absl::Status InsertFile(const FileRecord& file) override;
  absl::Status DeleteFiles(absl::string_view job_uid) override;
  absl::Status DeleteFile(absl::string_view job_uid, absl::string_view path) override;
  absl::Status PutStagedFile(const StagedFileRecord& file) override;
  absl::Status DeleteStagedFiles(absl::string_view job_uid, absl::string_view task) override;
  absl::Status InsertRequest(const RequestRecord& request) override;
  absl::Status DeleteRequestsBefore(absl::Time time) override;

 private:
  // Fails when the last statement changed no row.
  absl::Status ExpectChange(absl::string_view what) const;

  SqliteDatabase& database_;
};

}  // namespace tern

#endif  // TERN_SERVER_STORE_SQLITE_ROWS_H_
