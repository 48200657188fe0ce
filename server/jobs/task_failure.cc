#include "server/jobs/task_failure.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/bounded_utf8.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/events.h"
#include "server/jobs/job_state.h"
#include "server/jobs/leases.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

constexpr size_t kMaxErrorBytes = 8192;

// What workers report is kept, but not at any length.
google::rpc::Status Bounded(google::rpc::Status error) {
  error.set_message(BoundedUtf8(error.message(), kMaxMessageBytes));
  if (error.code() == 0) error.set_code(static_cast<int>(absl::StatusCode::kUnknown));
  if (error.ByteSizeLong() > kMaxErrorBytes) error.clear_details();
  return error;
}

google::rpc::Status ErrorsOf(const TaskRecord& task) {
  google::rpc::Status errors;
  errors.ParseFromString(task.errors);
  return errors;
}

void AddError(TaskRecord& task, const google::rpc::Status& error) {
  google::rpc::Status errors = ErrorsOf(task);
  errors.add_details()->PackFrom(error);
  task.errors = errors.SerializeAsString();
}

// The job's error: that of the last attempt, telling of all of them.
google::rpc::Status JobError(const TaskRecord& task) {
  google::rpc::Status last;
  std::vector<std::string> messages;
  const google::rpc::Status errors = ErrorsOf(task);
  for (const auto& detail : errors.details()) {
    if (!detail.UnpackTo(&last)) continue;
    if (messages.empty() || messages.back() != last.message()) messages.push_back(last.message());
  }
  const int32_t tries = task.attempts + task.worker_deaths;
  last.set_message(absl::StrCat("task ", task.name, " failed",
                                tries > 1 ? absl::StrCat(" ", tries, " times") : "", ": ",
                                absl::StrJoin(messages, "; then: ")));
  return ToProto(FromProto(last));
}

absl::Status EndLease(Transaction& transaction, TaskRecord& task, AfterCommit& after) {
  TERN_ASSIGN_OR_RETURN(const std::vector<StagedFileRecord> staged,
                        transaction.ListStagedFiles(task.job_uid, task.name));
  for (const StagedFileRecord& file : staged) after.DeleteBlob(file.blob_key);
  task.worker.clear();
  task.supervisor.clear();
  task.lease_deadline = absl::InfinitePast();
  return transaction.DeleteStagedFiles(task.job_uid, task.name);
}

absl::Status MakeReady(Transaction& transaction, TaskRecord& task, absl::Time ready_time,
                       AfterCommit& after) {
  task.state = TaskState::kReady;
  task.ready_time = ready_time;
  after.NotifyWork();
  return transaction.UpdateTask(task);
}

absl::Status RetryOrFail(const JobsContext& context, Transaction& transaction, JobRecord& job,
                         TaskRecord& task, const std::string& worker, const std::string& reason,
                         bool retry, absl::Time ready_time, absl::Time now, AfterCommit& after) {
  if (!retry) {
    task.state = TaskState::kDropped;
    TERN_RETURN_IF_ERROR(transaction.UpdateTask(task));
    return EndWithoutCheckpoint(context, transaction, job, JobState::kFailed, JobError(task), now,
                                after);
  }
  TERN_RETURN_IF_ERROR(MakeReady(transaction, task, ready_time, after));
  v1::JobEvent event;
  auto& retried = *event.mutable_task_retried();
  retried.set_task(task.name);
  retried.set_worker(worker);
  retried.set_reason(reason);
  retried.set_attempts(task.attempts);
  retried.set_worker_deaths(task.worker_deaths);
  TERN_RETURN_IF_ERROR(
      AppendEvent(transaction, job, std::move(event), now, context.options.events_kept));
  after.NotifyJob(job.uid);
  return transaction.UpdateJob(job);
}

}  // namespace

absl::Status FailAttempt(const JobsContext& context, Transaction& transaction, JobRecord& job,
                         TaskRecord& task, const google::rpc::Status& error, bool permanent,
                         absl::Time now, AfterCommit& after) {
  const SchedulerOptions& options = context.options.scheduler;
  const google::rpc::Status bounded = Bounded(error);
  const std::string worker = task.worker;
  ++task.attempts;
  ++job.failed_attempts;
  AddError(task, bounded);
  after.Observe([lease = Observed(job, task), kind = task.kind](JobsObserver& observer) {
    observer.TaskAttempt(lease, TaskKindName(kind), "failed");
  });
  TERN_RETURN_IF_ERROR(EndLease(transaction, task, after));
  const bool retry = !permanent && task.attempts < options.max_attempts;
  return RetryOrFail(context, transaction, job, task, worker, bounded.message(), retry,
                     now + options.retry_delay * task.attempts, now, after);
}

absl::Status LoseWorker(const JobsContext& context, Transaction& transaction, JobRecord& job,
                        TaskRecord& task, const std::string& reason, absl::Time now,
                        AfterCommit& after) {
  const std::string worker = task.worker;
  ++task.worker_deaths;
  ++job.worker_deaths;
  AddError(task,
           ToProto(WithReason(absl::UnavailableError(absl::StrCat("worker ", worker, ": ", reason)),
                              "WORKER_LOST")));
  // A lease runs out half its length after the last report at the soonest.
  const absl::Time last_seen = now - context.options.scheduler.lease_duration / 2;
  after.Observe([&workers = context.workers, lease = Observed(job, task), kind = task.kind,
                 last_seen](JobsObserver& observer) {
    workers.SetActivity(lease.worker, std::nullopt);
    workers.MarkLost(lease.worker, last_seen);
    observer.LeaseExpired(lease);
    observer.TaskAttempt(lease, TaskKindName(kind), "lost");
  });
  TERN_RETURN_IF_ERROR(EndLease(transaction, task, after));
  const bool retry = task.worker_deaths < context.options.scheduler.max_worker_deaths;
  return RetryOrFail(context, transaction, job, task, worker, reason, retry, now, now, after);
}

absl::Status ReleaseTask(Transaction& transaction, TaskRecord& task, absl::Time now,
                         AfterCommit& after) {
  TERN_RETURN_IF_ERROR(EndLease(transaction, task, after));
  return MakeReady(transaction, task, now, after);
}

}  // namespace tern
