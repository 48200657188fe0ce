#ifndef TERN_SERVER_METRICS_JOBS_METRICS_H_
#define TERN_SERVER_METRICS_JOBS_METRICS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/jobs/jobs_observer.h"

namespace prometheus {
class Counter;
class Histogram;
class Registry;
template <typename T>
class Family;
}  // namespace prometheus

namespace tern {

// Counts what happens to jobs, without any job or model as a label. What was counted is forgotten
// with the process. Thread-safe.
class JobsMetrics : public JobsObserver {
 public:
  // The registry outlives this.
  explicit JobsMetrics(prometheus::Registry& registry);

  void TaskAttempt(const ObservedLease& lease, absl::string_view kind,
                   absl::string_view outcome) override;
  void BlockFinished(absl::string_view job_name, const v1::BlockMetrics& metrics) override;
  void LeaseExpired(const ObservedLease& lease) override;
  void StaleWriteRefused(const ObservedLease& lease, absl::string_view what) override;
  void Problem(absl::string_view doing, const absl::Status& status) override;

 private:
  prometheus::Family<prometheus::Counter>& task_attempts_;
  prometheus::Family<prometheus::Counter>& stale_writes_;
  prometheus::Counter& lease_expiries_;
  prometheus::Counter& problems_;
  prometheus::Counter& calibrated_tokens_;
  prometheus::Family<prometheus::Histogram>& block_seconds_;
  prometheus::Histogram& reconstruction_error_;
};

}  // namespace tern

#endif  // TERN_SERVER_METRICS_JOBS_METRICS_H_
