#ifndef TERN_SERVER_JOBS_JOBS_OBSERVER_H_
#define TERN_SERVER_JOBS_JOBS_OBSERVER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// The lease of a task that something happened to.
struct ObservedLease {
  std::string job;  // its name; empty when it is no longer there
  std::string task;
  int64_t epoch = 0;
  std::string worker;  // empty where only a lease was shown
};

// Hears of what happens, after it is committed; for metrics and the log. Called from any thread,
// with no lock held; must be thread-safe and quick. What was committed just before a crash may go
// unheard.
class JobsObserver {
 public:
  virtual ~JobsObserver() = default;

  virtual void JobCreated(absl::string_view /*job_name*/) {}
  // The job reached a terminal state. `error` is the job's where it failed, else empty.
  virtual void JobEnded(absl::string_view /*job_name*/, JobState /*state*/,
                        absl::string_view /*error*/) {}

  // `kind` is a TaskKindName (task_names.h); `outcome` "succeeded", "failed" or "lost".
  virtual void TaskAttempt(const ObservedLease& /*lease*/, absl::string_view /*kind*/,
                           absl::string_view /*outcome*/) {}
  virtual void BlockFinished(absl::string_view /*job_name*/, const v1::BlockMetrics& /*metrics*/) {}

  // A lease ended without its worker: it passed its deadline or the worker is known to be gone.
  virtual void LeaseExpired(const ObservedLease& /*lease*/) {}
  // `what` is "report", "completion", "failure" or "upload".
  virtual void StaleWriteRefused(const ObservedLease& /*lease*/, absl::string_view /*what*/) {}

  // Something failed that no caller hears of and that will be tried again, e.g. "finalize job".
  virtual void Problem(absl::string_view /*doing*/, const absl::Status& /*status*/) {}
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOBS_OBSERVER_H_
