#include "worker/agent/lease_loop.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <exception>
#include <new>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/service/error_details.h"
#include "proto/service/log.h"
#include "proto/service/process_memory.h"
#include "worker/agent/backoff.h"

namespace tern {
namespace {

using tern::worker::v1::Lease;
using tern::worker::v1::SynchronizeRequest;
using tern::worker::v1::SynchronizeResponse;
using tern::worker::v1::Task;

constexpr absl::Duration kFailureLogInterval = absl::Minutes(1);

// What is made of an interval that makes no sense.
constexpr absl::Duration kShortestInterval = absl::Milliseconds(1);
constexpr absl::Duration kLongestInterval = absl::Minutes(5);

absl::Duration NextCallAfter(const SynchronizeResponse& response) {
  const auto& proto = response.next_call_after();
  const absl::Duration wanted = absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
  return std::clamp(wanted, kShortestInterval, kLongestInterval);
}

// Whether the server has looked at the report and will not have it, however often it is sent.
bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

SynchronizeRequest IdleReport() {
  SynchronizeRequest report;
  report.mutable_idle();
  return report;
}

SynchronizeRequest ReleaseOf(const Task& task) {
  SynchronizeRequest report;
  *report.mutable_released()->mutable_lease() = task.lease();
  return report;
}

SynchronizeRequest FailureOf(const Lease& lease, const absl::Status& status, bool permanent) {
  SynchronizeRequest report;
  *report.mutable_failed()->mutable_lease() = lease;
  *report.mutable_failed()->mutable_error() = ToProto(status);
  report.mutable_failed()->set_permanent(permanent);
  return report;
}

// Libraries below throw when memory runs out.
TaskOutcome RunGuarded(TaskRunner& runner, const Task& task, TaskProgress& progress) {
  TaskOutcome outcome;
  try {
    outcome = runner.Run(task, progress);
  } catch (const std::bad_alloc&) {
    outcome.status = absl::ResourceExhaustedError(
        absl::StrCat("out of memory in stage \"", progress.snapshot().stage,
                     "\": give the worker more, or calibrate on fewer or shorter windows"));
  } catch (const std::exception& e) {
    outcome.status = absl::InternalError(absl::StrCat("uncaught exception: ", e.what()));
  }
  return outcome;
}

}  // namespace

LeaseLoop::LeaseLoop(Synchronizer& server, tern::worker::v1::WorkerIdentity identity,
                     TaskRunner& runner, WorkerMetrics& metrics, Timing timing)
    : server_(server),
      identity_(std::move(identity)),
      runner_(runner),
      metrics_(metrics),
      timing_(timing) {}

absl::Status LeaseLoop::Run() {
  Request report = IdleReport();
  Task task;  // what `report` tells of, unless it is idle
  while (true) {
    const absl::StatusOr<Response> answer = Deliver(report);
    if (answer.ok() && answer->has_execute()) {
      task = answer->execute().task();
      report = draining() ? ReleaseOf(task) : Execute(task, NextCallAfter(*answer));
      continue;
    }
    if (answer.ok() && answer->has_stop() && !report.has_idle()) {
      Log(LogLevel::kWarning, "the server dropped a report",
          {{"job", task.job()},
           {"task", task.lease().task()},
           {"epoch", task.lease().epoch()},
           {"reason", answer->stop().reason()}});
    }
    if (!answer.ok() && IsRefusal(answer.status()) && report.has_completed() &&
        !absl::IsAborted(answer.status())) {
      // Told as a failure, so that the task does not come back here for ever.
      report = FailureOf(report.completed().lease(), answer.status(), false);
      continue;
    }
    // A draining worker says so once while idle: the server then knows that it is gone.
    if (report.has_idle()) {
      if (report.draining()) return fault_;
      if (answer.ok()) runner_.Rest();
      Pause(answer.ok() ? NextCallAfter(*answer) : timing_.longest_retry, draining_);
    }
    report = IdleReport();
  }
}

absl::StatusOr<LeaseLoop::Response> LeaseLoop::Deliver(Request& request) {
  Backoff backoff(timing_.first_retry, timing_.longest_retry);
  while (true) {
    absl::StatusOr<Response> answer = Call(request);
    if (answer.ok() || IsRefusal(answer.status())) return answer;
    // How a task ended is worth waiting for the server; a farewell is not.
    const bool ended = request.has_completed() || request.has_failed();
    if (ended ? abandoned() : draining()) return answer;
    Pause(backoff.Next(), ended ? abandoned_ : draining_);
  }
}

absl::StatusOr<LeaseLoop::Response> LeaseLoop::Call(Request& request) {
  const int64_t resident_bytes = ResidentBytes();
  *request.mutable_worker() = identity_;
  request.set_resident_bytes(resident_bytes);
  request.clear_warm();
  for (auto& shard : runner_.Warm()) *request.add_warm() = std::move(shard);
  metrics_.SetResidentBytes(resident_bytes);
  metrics_.SetWarmShards(request.warm_size());

  request.set_draining(draining());
  const bool until_drained = request.has_idle() && !request.draining();
  absl::StatusOr<Response> answer = server_.Synchronize(
      request, CallDeadline(request), until_drained ? drained_.get_token() : std::stop_token());
  if (!until_drained || !draining()) NoteAnswer(answer.status());
  return answer;
}

absl::Duration LeaseLoop::CallDeadline(const Request& request) const {
  if (request.draining() && (request.has_idle() || abandoned())) return timing_.farewell_call;
  return request.has_idle() ? timing_.idle_call : timing_.busy_call;
}

// The compute thread's side and the loop's side of one task.
struct LeaseLoop::Computation {
  Computation(absl::Time next_call, const Timing& timing)
      : next_call(next_call), backoff(timing.first_retry, timing.longest_retry) {}

  TaskProgress progress;
  std::optional<TaskOutcome> outcome;  // guarded by mutex_
  absl::Time next_call;
  Backoff backoff;
};

LeaseLoop::Request LeaseLoop::Execute(const Task& task, absl::Duration next_call) {
  Computation computation(absl::Now() + next_call, timing_);
  metrics_.SetBusy(true);
  std::thread compute([&] {
    TaskOutcome outcome = RunGuarded(runner_, task, computation.progress);
    const std::lock_guard lock(mutex_);
    computation.outcome = std::move(outcome);
    changed_.notify_all();
  });

  const auto finished = [&] { return computation.outcome.has_value(); };
  bool leased = true;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto wait = std::max(computation.next_call - absl::Now(), absl::ZeroDuration());
      changed_.wait_for(lock, absl::ToChronoMilliseconds(wait),
                        [&] { return finished() || abandoned_; });
      if (finished() || abandoned_) break;
    }
    if (!KeepLease(task, computation)) {
      leased = false;
      break;
    }
  }
  if (!leased || abandoned()) computation.progress.Stop();
  compute.join();
  metrics_.SetBusy(false);

  if (!leased) {
    metrics_.CountTask(TaskKind(task), "stopped");
    return IdleReport();
  }
  return ReportOf(task, *std::move(computation.outcome));
}

bool LeaseLoop::KeepLease(const Task& task, Computation& computation) {
  const TaskProgress::Snapshot progress = computation.progress.snapshot();
  Request report;
  *report.mutable_executing()->mutable_lease() = task.lease();
  report.mutable_executing()->set_stage(progress.stage);
  report.mutable_executing()->set_fraction(progress.fraction);

  const absl::StatusOr<Response> answer = Call(report);
  if (!answer.ok() && !IsRefusal(answer.status())) {
    computation.next_call = absl::Now() + computation.backoff.Next();
    return true;
  }
  if (!answer.ok() || answer->has_stop()) {
    Log(LogLevel::kInfo, "task stopped by the server",
        {{"job", task.job()},
         {"task", task.lease().task()},
         {"epoch", task.lease().epoch()},
         {"reason",
          answer.ok() ? answer->stop().reason() : std::string(answer.status().message())}});
    return false;
  }
  computation.backoff.Reset();
  computation.next_call = absl::Now() + NextCallAfter(*answer);
  return true;
}

LeaseLoop::Request LeaseLoop::ReportOf(const Task& task, TaskOutcome outcome) {
  if (outcome.status.ok()) {
    metrics_.CountTask(TaskKind(task), "completed");
    Request report;
    *report.mutable_completed()->mutable_lease() = task.lease();
    *report.mutable_completed()->mutable_result() = std::move(outcome.result);
    return report;
  }
  if (abandoned() && absl::IsCancelled(outcome.status)) {
    metrics_.CountTask(TaskKind(task), "released");
    return ReleaseOf(task);
  }
  // What it was writing was refused: the lease is another's, or its job was cancelled.
  const bool stale = absl::IsAborted(outcome.status);
  metrics_.CountTask(TaskKind(task), stale ? "stopped" : "failed");
  Log(stale ? LogLevel::kInfo : LogLevel::kError, stale ? "task dropped" : "task failed",
      {{"job", task.job()},
       {"task", task.lease().task()},
       {"epoch", task.lease().epoch()},
       {"permanent", outcome.permanent ? "true" : "false"},
       {"error", outcome.status.ToString()}});
  fault_ = runner_.Health();
  if (!fault_.ok()) {
    Log(LogLevel::kError, "the device is lost; the worker ends", {{"error", fault_.ToString()}});
    Drain();
  }
  return FailureOf(task.lease(), outcome.status, outcome.permanent);
}

void LeaseLoop::Drain() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    changed_.notify_all();
  }
  drained_.request_stop();
}

void LeaseLoop::Abandon() {
  Drain();
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  changed_.notify_all();
}

absl::Status LeaseLoop::Ready() const {
  const std::lock_guard lock(mutex_);
  return ready_;
}

bool LeaseLoop::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

bool LeaseLoop::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

void LeaseLoop::Pause(absl::Duration time, const bool& until) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(time), [&] { return until; });
}

void LeaseLoop::NoteAnswer(const absl::Status& status) {
  const std::lock_guard lock(mutex_);
  ready_ = status;
  const absl::Time now = absl::Now();
  if (status.ok()) {
    if (failure_logged_ != absl::InfinitePast()) Log(LogLevel::kInfo, "the server answers again");
    failure_logged_ = absl::InfinitePast();
  } else if (now - failure_logged_ >= kFailureLogInterval) {
    Log(LogLevel::kWarning, "calling the server failed; calling again until it answers",
        {{"error", status.ToString()}});
    failure_logged_ = now;
  }
}

}  // namespace tern
