#ifndef TERN_SERVER_JOBS_LOG_H_
#define TERN_SERVER_JOBS_LOG_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/jobs/jobs_observer.h"

namespace tern {

// Writes what happens to jobs to the log and passes it on to the metrics. Thread-safe.
class JobsLog : public JobsObserver {
 public:
  // `metrics` outlives this.
  explicit JobsLog(JobsObserver& metrics) : metrics_(metrics) {}

  void JobCreated(absl::string_view job_name) override;
  void JobEnded(absl::string_view job_name, JobState state, absl::string_view error) override;
  void TaskAttempt(const ObservedLease& lease, absl::string_view kind,
                   absl::string_view outcome) override;
  void BlockFinished(absl::string_view job_name, const v1::BlockMetrics& metrics) override;
  void LeaseExpired(const ObservedLease& lease) override;
  void StaleWriteRefused(const ObservedLease& lease, absl::string_view what) override;
  void Problem(absl::string_view doing, const absl::Status& status) override;

 private:
  JobsObserver& metrics_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_LOG_H_
