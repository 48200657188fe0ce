#ifndef TERN_SERVER_JOBS_SCHEDULER_H_
#define TERN_SERVER_JOBS_SCHEDULER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/finalizer.h"
#include "server/jobs/jobs_context.h"
#include "server/jobs/leases.h"
#include "server/store/store.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// Hands tasks to workers and takes their results.
//
// What holds at every instant, whatever crashes:
//  1. A task's epoch never falls, and each (task, epoch) is leased to one worker only.
//  2. Nothing carrying another epoch than that of a live lease changes a task, its files or its
//     job.
//  3. A task's completion, its files, its events, and the readiness of the tasks behind it become
//     visible together.
//  4. A terminal job or task never changes again.
//  5. A task is leased only after all it depends on are done.
//  6. Every task of a job that is not terminal is blocked, ready, leased with a deadline, or done:
//     so as long as workers call and leases are expired, every job ends.
//
// Thread-safe. Calls block for one or two store transactions (an fsync each), except that the call
// that completes a job's last task also writes its report.
class Scheduler {
 public:
  struct Answer {
    worker::v1::SynchronizeResponse response;
    // There is no work for this idle worker: the call may be held. Call again, with `idle` for its
    // state, when the work signal fires, at `retry_at`, or when the caller has waited long enough.
    bool may_wait = false;
    // A task is kept for another worker, or rests, until then.
    absl::Time retry_at = absl::InfiniteFuture();
    // When the worker was heard from, in this call.
    absl::Time seen;
  };

  Scheduler(const JobsContext& context, Finalizer& finalizer)
      : context_(context), finalizer_(finalizer) {}

  // One call of a worker.
  //   idle       execute with a task, or idle. A task that the worker was given but does not know
  //              of (the answer was lost) is given to it again, under the same lease.
  //   executing  continue, or stop when the lease is stale (cancelled, lost).
  //   completed  takes the result, then as idle. The same report again is accepted and changes
  //              nothing. A result that does not fit its task, or lacks files, counts as a failed
  //              attempt.
  //   failed     counts the attempt, then as idle.
  //   released   the task goes back to the queue and nothing is counted, then as idle.
  // completed, failed and released under a stale lease are ABORTED with reason STALE_LEASE: the
  // worker drops the task and calls as idle. A draining worker gets nothing new: idle, without
  // may_wait; one that is idle besides has taken its leave. INVALID_ARGUMENT names the field of a
  // malformed request.
  absl::StatusOr<Answer> Synchronize(const worker::v1::SynchronizeRequest& request);

  // Takes back every lease past its deadline. Called about once a second.
  absl::Status ExpireLeases();

  // The idle worker heard from at `seen` left while its call was held: unless it has called again
  // it is lost, and what is kept for it is now anyone's.
  void WorkerLeft(absl::string_view worker, absl::Time seen);

  // The processes of all workers with this WorkerIdentity.supervisor are known to be gone: takes
  // back what they hold at once and forgets them.
  absl::Status ExpireSupervised(absl::string_view supervisor);

 private:
  using Request = worker::v1::SynchronizeRequest;

  absl::StatusOr<Answer> AnswerIdle(const Request& request);
  absl::StatusOr<Answer> AnswerExecuting(const Request& request);
  absl::StatusOr<Answer> AnswerEnded(const Request& request, const worker::v1::Lease& lease);

  // Within a transaction.
  absl::Status EndTask(const Request& request, const LeaseKey& lease, Transaction& transaction,
                       absl::Time now, AfterCommit& after);
  absl::Status LeaseNext(const Request& request, Transaction& transaction, absl::Time now,
                         Answer& answer, AfterCommit& after);
  // The task the worker holds already, or the one it should get; sets when to look again.
  absl::StatusOr<std::optional<TaskRecord>> NextTask(const Request& request, StoreReader& reader,
                                                     absl::Time now, Answer& answer) const;
  // Answers with the task, or ends its job when the job's document is damaged.
  absl::Status Lease(const Request& request, Transaction& transaction, TaskRecord& task,
                     absl::Time now, Answer& answer, AfterCommit& after);

  // Takes back those of `leases` that still are as they were seen.
  absl::Status TakeBack(const std::vector<TaskRecord>& leases, const std::string& reason,
                        const std::function<bool(const TaskRecord&)>& still);
  void Finish(const AfterCommit& after);

  const JobsContext& context_;
  Finalizer& finalizer_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_SCHEDULER_H_
