#include "server/jobs/scheduler.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/job_lookup.h"
#include "server/jobs/job_state.h"
#include "server/jobs/job_view.h"
#include "server/jobs/task_choice.h"
#include "server/jobs/task_completion.h"
#include "server/jobs/task_failure.h"
#include "server/jobs/task_message.h"
#include "server/jobs/timestamps.h"

namespace tern {
namespace {

using worker::v1::SynchronizeRequest;

constexpr size_t kMaxIdentityBytes = 256;
constexpr int kMaxWarmShards = 64;
constexpr int32_t kLeasesPerTransaction = 100;

absl::Status CheckRequest(const SynchronizeRequest& request) {
  const worker::v1::WorkerIdentity& worker = request.worker();
  if (worker.id().empty()) return InvalidField("worker.id", "must be set");
  for (const std::string* const text :
       {&worker.id(), &worker.host(), &worker.device(), &worker.version(), &worker.supervisor()}) {
    if (text->size() > kMaxIdentityBytes) {
      return InvalidField("worker",
                          absl::StrCat("a field has more than ", kMaxIdentityBytes, " bytes"));
    }
  }
  if (request.warm_size() > kMaxWarmShards) {
    return InvalidField("warm", absl::StrCat("more than ", kMaxWarmShards, " entries"));
  }
  if (request.state_case() == SynchronizeRequest::STATE_NOT_SET) {
    return InvalidField("state", "must be set");
  }
  return absl::OkStatus();
}

std::vector<WarmState> WarmStates(const SynchronizeRequest& request) {
  std::vector<WarmState> warm;
  for (const auto& state : request.warm()) {
    warm.push_back({state.job_uid(), state.shard(), state.next_block()});
  }
  return warm;
}

WorkerInfo InfoOf(const SynchronizeRequest& request) {
  WorkerInfo worker;
  worker.id = request.worker().id();
  worker.host = request.worker().host();
  worker.device = request.worker().device();
  worker.memory_bytes = request.worker().memory_bytes();
  worker.version = request.worker().version();
  worker.supervisor = request.worker().supervisor();
  worker.resident_bytes = request.resident_bytes();
  worker.draining = request.draining();
  worker.warm = WarmStates(request);
  return worker;
}

// Into 0 to 1; NaN becomes 0.
double Fraction(double reported) { return reported > 0 ? std::min(1.0, reported) : 0; }

const char* WhatIsReported(const SynchronizeRequest& request) {
  if (request.has_executing()) return "report";
  if (request.has_completed()) return "completion";
  return "failure";
}

// The same completion was taken before: its answer was lost.
bool WasCompleted(const std::optional<TaskRecord>& task, const LeaseKey& lease,
                  const SynchronizeRequest& request) {
  return request.has_completed() && task.has_value() && task->state == TaskState::kDone &&
         task->epoch == lease.epoch && task->worker == request.worker().id();
}

bool IsHeldBy(const std::optional<TaskRecord>& task, const LeaseKey& lease,
              const SynchronizeRequest& request) {
  return IsLive(task, lease) && task->worker == request.worker().id();
}

}  // namespace

absl::StatusOr<Scheduler::Answer> Scheduler::Synchronize(const Request& request) {
  TERN_RETURN_IF_ERROR(CheckRequest(request));
  switch (request.state_case()) {
    case Request::kExecuting:
      return AnswerExecuting(request);
    case Request::kCompleted:
      return AnswerEnded(request, request.completed().lease());
    case Request::kFailed:
      return AnswerEnded(request, request.failed().lease());
    case Request::kReleased:
      return AnswerEnded(request, request.released().lease());
    default:
      return AnswerIdle(request);
  }
}

absl::StatusOr<Scheduler::Answer> Scheduler::AnswerIdle(const Request& request) {
  Answer answer;
  answer.seen = context_.workers.Report(InfoOf(request));
  const absl::Time now = context_.clock.Now();
  const SchedulerOptions& options = context_.options.scheduler;

  // Most calls find nothing, and those write nothing.
  bool nothing = false;
  TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const std::vector<TaskRecord> held,
                          reader.ListLeasesOfWorker(request.worker().id()));
    TaskChoice choice;
    if (!request.draining()) {
      TERN_ASSIGN_OR_RETURN(choice, ChooseTask(reader, context_.workers, InfoOf(request),
                                               options.affinity_grace, now));
    }
    nothing = held.empty() && !choice.task.has_value();
    answer.retry_at = choice.retry_at;
    return absl::OkStatus();
  }));
  if (request.draining()) context_.workers.Remove(request.worker().id());
  if (nothing) {
    answer.response.mutable_idle();
    *answer.response.mutable_next_call_after() = ToDuration(absl::ZeroDuration());
    answer.may_wait = !request.draining();
    return answer;
  }

  AfterCommit after;
  TERN_RETURN_IF_ERROR(context_.store.Transact([&](Transaction& transaction) {
    after = AfterCommit();
    return LeaseNext(request, transaction, now, answer, after);
  }));
  Finish(after);
  answer.may_wait = answer.response.has_idle() && !request.draining();
  return answer;
}

absl::StatusOr<Scheduler::Answer> Scheduler::AnswerExecuting(const Request& request) {
  const worker::v1::SynchronizeRequest::Executing& report = request.executing();
  TERN_ASSIGN_OR_RETURN(const LeaseKey lease, ParseLease(report.lease(), "executing.lease"));
  Answer answer;
  answer.seen = context_.workers.Report(InfoOf(request));
  const absl::Time now = context_.clock.Now();
  const absl::Duration lease_duration = context_.options.scheduler.lease_duration;

  std::optional<TaskRecord> task;
  std::optional<JobRecord> job;
  TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(task, reader.GetTask(lease.job_uid, lease.task));
    TERN_ASSIGN_OR_RETURN(job, reader.GetJob(lease.job_uid));
    return absl::OkStatus();
  }));
  bool live = job.has_value() && IsHeldBy(task, lease, request);
  if (live && task->lease_deadline - now < lease_duration / 2) {
    TERN_RETURN_IF_ERROR(context_.store.Transact([&](Transaction& transaction) -> absl::Status {
      TERN_ASSIGN_OR_RETURN(task, transaction.GetTask(lease.job_uid, lease.task));
      live = IsHeldBy(task, lease, request);
      if (!live) return absl::OkStatus();
      task->lease_deadline = now + lease_duration;
      return transaction.UpdateTask(*task);
    }));
  }

  if (!live) {
    ObserveStaleWrite(context_, lease, WhatIsReported(request));
    const bool cancelled = job.has_value() && job->state == JobState::kCancelled;
    answer.response.mutable_stop()->set_reason(cancelled ? "the job was cancelled"
                                                         : "the lease has ended");
    *answer.response.mutable_next_call_after() = ToDuration(absl::ZeroDuration());
    return answer;
  }
  context_.workers.SetActivity(request.worker().id(),
                               WorkerActivity{lease.job_uid, NameOf(*job), lease.task, task->cost,
                                              report.stage(), Fraction(report.fraction())});
  context_.job_signal.Notify(ProgressKey(lease.job_uid));
  answer.response.mutable_continue_();
  *answer.response.mutable_next_call_after() =
      ToDuration(context_.options.scheduler.report_interval);
  return answer;
}

absl::StatusOr<Scheduler::Answer> Scheduler::AnswerEnded(const Request& request,
                                                         const worker::v1::Lease& lease_message) {
  TERN_ASSIGN_OR_RETURN(const LeaseKey lease, ParseLease(lease_message, "lease"));
  Answer answer;
  answer.seen = context_.workers.Report(InfoOf(request));
  const absl::Time now = context_.clock.Now();
  AfterCommit after;
  const absl::Status status =
      context_.store.Transact([&](Transaction& transaction) -> absl::Status {
        after = AfterCommit();
        TERN_RETURN_IF_ERROR(EndTask(request, lease, transaction, now, after));
        return LeaseNext(request, transaction, now, answer, after);
      });
  if (IsStaleLease(status)) ObserveStaleWrite(context_, lease, WhatIsReported(request));
  if (!status.ok()) return status;
  Finish(after);
  // A busy worker's call is never held: it calls again as idle.
  return answer;
}

absl::Status Scheduler::EndTask(const Request& request, const LeaseKey& lease,
                                Transaction& transaction, absl::Time now, AfterCommit& after) {
  TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> task,
                        transaction.GetTask(lease.job_uid, lease.task));
  if (WasCompleted(task, lease, request)) return absl::OkStatus();
  if (!IsHeldBy(task, lease, request)) return StaleLease(lease);
  if (request.has_released()) return ReleaseTask(transaction, *task, now, after);

  TERN_ASSIGN_OR_RETURN(JobRecord job, GetJobByUid(transaction, lease.job_uid));
  if (request.has_failed()) {
    return FailAttempt(context_, transaction, job, *task, request.failed().error(),
                       request.failed().permanent(), now, after);
  }
  const absl::Status check = CheckResult(transaction, job, *task, request.completed().result());
  if (absl::IsInvalidArgument(check)) {
    return FailAttempt(context_, transaction, job, *task,
                       ToProto(WithReason(check, "RESULT_INVALID")), /*permanent=*/false, now,
                       after);
  }
  TERN_RETURN_IF_ERROR(check);
  return CompleteTask(context_, transaction, job, *task, request.completed().result(), now, after);
}

absl::Status Scheduler::LeaseNext(const Request& request, Transaction& transaction, absl::Time now,
                                  Answer& answer, AfterCommit& after) {
  answer.response.Clear();
  answer.response.mutable_idle();
  *answer.response.mutable_next_call_after() = ToDuration(absl::ZeroDuration());
  answer.retry_at = absl::InfiniteFuture();

  if (request.draining()) {
    TERN_ASSIGN_OR_RETURN(std::vector<TaskRecord> held,
                          transaction.ListLeasesOfWorker(request.worker().id()));
    for (TaskRecord& task : held) {
      TERN_RETURN_IF_ERROR(ReleaseTask(transaction, task, now, after));
    }
    return absl::OkStatus();
  }
  // A task that is not leased has ended its job, so each round there are fewer to choose from.
  while (!answer.response.has_execute()) {
    TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> task,
                          NextTask(request, transaction, now, answer));
    if (!task.has_value()) return absl::OkStatus();
    TERN_RETURN_IF_ERROR(Lease(request, transaction, *task, now, answer, after));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TaskRecord>> Scheduler::NextTask(const Request& request,
                                                              StoreReader& reader, absl::Time now,
                                                              Answer& answer) const {
  TERN_ASSIGN_OR_RETURN(std::vector<TaskRecord> held,
                        reader.ListLeasesOfWorker(request.worker().id()));
  if (!held.empty()) return std::move(held.front());
  TERN_ASSIGN_OR_RETURN(TaskChoice choice,
                        ChooseTask(reader, context_.workers, InfoOf(request),
                                   context_.options.scheduler.affinity_grace, now));
  answer.retry_at = choice.retry_at;
  return std::move(choice.task);
}

absl::Status Scheduler::Lease(const Request& request, Transaction& transaction, TaskRecord& task,
                              absl::Time now, Answer& answer, AfterCommit& after) {
  TERN_ASSIGN_OR_RETURN(JobRecord job, GetJobByUid(transaction, task.job_uid));
  if (task.state != TaskState::kLeased) {
    ++task.epoch;
    task.state = TaskState::kLeased;
    task.worker = request.worker().id();
    task.supervisor = request.worker().supervisor();
    task.lease_time = now;
  }
  task.lease_deadline = now + context_.options.scheduler.lease_duration;
  absl::StatusOr<worker::v1::Task> message = TaskMessage(transaction, job, task);
  if (absl::IsDataLoss(message.status())) {
    // Failing the call would keep this worker, and every other, from all jobs behind this one.
    return EndWithoutCheckpoint(context_, transaction, job, JobState::kFailed,
                                ToProto(message.status()), now, after);
  }
  TERN_RETURN_IF_ERROR(message.status());
  TERN_RETURN_IF_ERROR(transaction.UpdateTask(task));
  if (job.state == JobState::kPending) {
    TERN_RETURN_IF_ERROR(ChangeState(context_, transaction, job, JobState::kRunning, now, after));
    TERN_RETURN_IF_ERROR(transaction.UpdateJob(job));
  }
  message->set_job(NameOf(job));
  *answer.response.mutable_execute()->mutable_task() = *std::move(message);
  *answer.response.mutable_next_call_after() =
      ToDuration(context_.options.scheduler.report_interval);
  after.Observe([this, worker = request.worker().id(),
                 activity = WorkerActivity{task.job_uid, NameOf(job), task.name, task.cost,
                                           /*stage=*/"", /*fraction=*/0}](JobsObserver&) {
    context_.workers.SetActivity(worker, activity);
  });
  return absl::OkStatus();
}

absl::Status Scheduler::ExpireLeases() {
  while (true) {
    const absl::Time now = context_.clock.Now();
    std::vector<TaskRecord> expired;
    TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
      TERN_ASSIGN_OR_RETURN(expired, reader.ListLeasesBefore(now, kLeasesPerTransaction));
      return absl::OkStatus();
    }));
    if (expired.empty()) return absl::OkStatus();
    TERN_RETURN_IF_ERROR(
        TakeBack(expired, "not heard from before the lease's deadline",
                 [now](const TaskRecord& task) { return task.lease_deadline < now; }));
  }
}

void Scheduler::WorkerLeft(absl::string_view worker, absl::Time seen) {
  context_.workers.MarkLost(worker, seen);
  context_.work_signal.Notify(kWorkKey);
}

absl::Status Scheduler::ExpireSupervised(absl::string_view supervisor) {
  for (const WorkerInfo& worker : context_.workers.List()) {
    if (worker.supervisor == supervisor) context_.workers.Remove(worker.id);
  }
  std::vector<TaskRecord> held;
  TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(held, reader.ListLeasesBefore(absl::InfiniteFuture(), INT32_MAX));
    std::erase_if(held,
                  [supervisor](const TaskRecord& task) { return task.supervisor != supervisor; });
    return absl::OkStatus();
  }));
  // Blocks kept for these workers are now anyone's.
  context_.work_signal.Notify(kWorkKey);
  return TakeBack(held, "its process ended", [](const TaskRecord&) { return true; });
}

absl::Status Scheduler::TakeBack(const std::vector<TaskRecord>& leases, const std::string& reason,
                                 const std::function<bool(const TaskRecord&)>& still) {
  if (leases.empty()) return absl::OkStatus();
  const absl::Time now = context_.clock.Now();
  AfterCommit after;
  TERN_RETURN_IF_ERROR(context_.store.Transact([&](Transaction& transaction) -> absl::Status {
    after = AfterCommit();
    for (const TaskRecord& seen : leases) {
      TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> task,
                            transaction.GetTask(seen.job_uid, seen.name));
      if (!IsLive(task, {seen.job_uid, seen.name, seen.epoch}) || !still(*task)) continue;
      TERN_ASSIGN_OR_RETURN(JobRecord job, GetJobByUid(transaction, seen.job_uid));
      TERN_RETURN_IF_ERROR(LoseWorker(context_, transaction, job, *task, reason, now, after));
    }
    return absl::OkStatus();
  }));
  Finish(after);
  return absl::OkStatus();
}

void Scheduler::Finish(const AfterCommit& after) {
  after.Run(context_);
  for (const std::string& uid : after.finished_jobs()) finalizer_.Finish(uid);
}

}  // namespace tern
