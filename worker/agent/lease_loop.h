#ifndef TERN_WORKER_AGENT_LEASE_LOOP_H_
#define TERN_WORKER_AGENT_LEASE_LOOP_H_

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/worker/v1/worker_service.pb.h"
#include "worker/agent/synchronizer.h"
#include "worker/agent/task_runner.h"
#include "worker/agent/worker_metrics.h"

namespace tern {

// Keeps this worker in step with the server: asks for work, runs it, reports how far it is,
// delivers how it ended.
//
// A server that cannot be reached is waited for, for as long as it takes: a finished task is
// delivered to the server that comes back. What the server refuses is dropped, as the lease has
// gone to another worker then.
//
// Drain, Abandon and Ready are thread-safe; Run is called once.
class LeaseLoop {
 public:
  struct Timing {
    // Deadlines of calls. The server holds idle calls for up to 30 seconds.
    absl::Duration idle_call = absl::Seconds(45);
    absl::Duration busy_call = absl::Seconds(10);
    // The last words of a worker that leaves.
    absl::Duration farewell_call = absl::Seconds(3);
    absl::Duration first_retry = absl::Milliseconds(100);
    absl::Duration longest_retry = absl::Seconds(5);
  };

  // All references must outlive the loop.
  LeaseLoop(Synchronizer& server, tern::worker::v1::WorkerIdentity identity, TaskRunner& runner,
            WorkerMetrics& metrics)
      : LeaseLoop(server, std::move(identity), runner, metrics, Timing()) {}
  LeaseLoop(Synchronizer& server, tern::worker::v1::WorkerIdentity identity, TaskRunner& runner,
            WorkerMetrics& metrics, Timing timing);

  // Works until drained or abandoned, or until the runner can run no further task, and then says
  // why.
  absl::Status Run();

  // Takes nothing new; Run returns once the task in work is delivered.
  void Drain();

  // Drains, and stops the task in work: it is given back to the server, and Run returns soon
  // whether or not the server could be told.
  void Abandon();

  // OK unless the last call failed; then why.
  absl::Status Ready() const;

 private:
  using Request = tern::worker::v1::SynchronizeRequest;
  using Response = tern::worker::v1::SynchronizeResponse;
  using Task = tern::worker::v1::Task;

  // One call, with what the server wants to know of any worker filled in.
  absl::StatusOr<Response> Call(Request& request);
  absl::Duration CallDeadline(const Request& request) const;
  // Calls until the server has answered or refused, or until there is no more time to.
  absl::StatusOr<Response> Deliver(Request& request);

  // Computes the task while keeping its lease; what is to be reported next.
  Request Execute(const Task& task, absl::Duration next_call);
  struct Computation;
  // One heartbeat. False when the server wants the task stopped.
  bool KeepLease(const Task& task, Computation& computation);
  Request ReportOf(const Task& task, TaskOutcome outcome);

  // Waits, but no longer than until `until` (draining_ or abandoned_) is set.
  void Pause(absl::Duration time, const bool& until);
  void NoteAnswer(const absl::Status& status);
  bool draining() const;
  bool abandoned() const;

  Synchronizer& server_;
  const tern::worker::v1::WorkerIdentity identity_;
  TaskRunner& runner_;
  WorkerMetrics& metrics_;
  const Timing timing_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool draining_ = false;
  bool abandoned_ = false;
  std::stop_source drained_;  // cuts an idle call short
  absl::Status ready_;
  absl::Status fault_;  // the runner's; of the thread in Run
  absl::Time failure_logged_ = absl::InfinitePast();
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_LEASE_LOOP_H_
