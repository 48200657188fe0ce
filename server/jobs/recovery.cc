#include "server/jobs/recovery.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/task_failure.h"

namespace tern {
namespace {

constexpr int32_t kAll = 1 << 30;

absl::Status RecoverLeases(const JobsContext& context) {
  const absl::Time now = context.clock.Now();
  AfterCommit after;
  TERN_RETURN_IF_ERROR(context.store.Transact([&](Transaction& transaction) -> absl::Status {
    after = AfterCommit();
    TERN_ASSIGN_OR_RETURN(std::vector<TaskRecord> leases,
                          transaction.ListLeasesBefore(absl::InfiniteFuture(), kAll));
    for (TaskRecord& seen : leases) {
      // An earlier one may have ended the job.
      TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> task,
                            transaction.GetTask(seen.job_uid, seen.name));
      if (!task.has_value() || task->state != TaskState::kLeased) continue;
      if (task->supervisor.empty()) {
        task->lease_deadline =
            std::max(task->lease_deadline, now + context.options.scheduler.lease_duration);
        TERN_RETURN_IF_ERROR(transaction.UpdateTask(*task));
        continue;
      }
      // The task is not to blame for the end of its worker, and nothing is counted against it.
      TERN_RETURN_IF_ERROR(ReleaseTask(transaction, *task, now, after));
    }
    return absl::OkStatus();
  }));
  after.Run(context);
  return absl::OkStatus();
}

// Keys of the job's blobs that a row names; none for a job that has no files or is not there.
absl::StatusOr<std::set<std::string>> NamedBlobs(const JobsContext& context,
                                                 absl::string_view uid) {
  std::set<std::string> named;
  TERN_RETURN_IF_ERROR(context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const std::vector<FileRecord> files, reader.ListFiles(uid, 0, kAll));
    TERN_ASSIGN_OR_RETURN(const std::vector<StagedFileRecord> staged,
                          reader.ListStagedFiles(uid, /*task=*/""));
    for (const FileRecord& file : files) named.insert(file.blob_key);
    for (const StagedFileRecord& file : staged) named.insert(file.blob_key);
    return absl::OkStatus();
  }));
  return named;
}

absl::Status DeleteOrphanBlobs(const JobsContext& context) {
  TERN_ASSIGN_OR_RETURN(const std::vector<std::string> keys, context.blobs.List(kJobsPrefix));
  std::string uid;
  std::set<std::string> named;
  for (const std::string& key : keys) {
    const std::vector<std::string> parts = absl::StrSplit(key, '/');
    if (parts.size() < 3) continue;
    if (parts[1] != uid) {
      uid = parts[1];
      TERN_ASSIGN_OR_RETURN(named, NamedBlobs(context, uid));
    }
    if (!named.contains(key)) TERN_RETURN_IF_ERROR(context.blobs.Delete(key));
  }
  return absl::OkStatus();
}

absl::Status FinishDoneJobs(const JobsContext& context, Finalizer& finalizer) {
  std::vector<std::string> done;
  TERN_RETURN_IF_ERROR(context.store.Read([&](StoreReader& reader) -> absl::Status {
    JobQuery query;
    query.states = {JobState::kRunning};
    query.limit = kAll;
    TERN_ASSIGN_OR_RETURN(const std::vector<JobRecord> jobs, reader.ListJobs(query));
    for (const JobRecord& job : jobs) {
      if (job.tasks_done == job.tasks_total) done.push_back(job.uid);
    }
    return absl::OkStatus();
  }));
  for (const std::string& uid : done) finalizer.Finish(uid);
  return absl::OkStatus();
}

}  // namespace

absl::Status Recover(const JobsContext& context, Finalizer& finalizer) {
  TERN_RETURN_IF_ERROR(RecoverLeases(context));
  TERN_RETURN_IF_ERROR(DeleteOrphanBlobs(context));
  return FinishDoneJobs(context, finalizer);
}

}  // namespace tern
