#ifndef TERN_TESTS_UNIT_JOBS_RECORDING_OBSERVER_H_
#define TERN_TESTS_UNIT_JOBS_RECORDING_OBSERVER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/jobs/jobs_observer.h"

namespace tern {

// Counts what it hears of. Thread-safe.
class RecordingObserver : public JobsObserver {
 public:
  void JobCreated(absl::string_view) override { Count("job created"); }
  void JobEnded(absl::string_view, JobState state, absl::string_view error) override {
    Count(absl::StrCat("job ended ", static_cast<int>(state)));
    if (!error.empty()) Count(absl::StrCat("job ended: ", error));
  }
  void TaskAttempt(const ObservedLease& lease, absl::string_view kind,
                   absl::string_view outcome) override {
    Count(absl::StrCat(kind, " ", outcome));
    CountLease(lease, outcome);
  }
  void BlockFinished(absl::string_view job_name, const v1::BlockMetrics&) override {
    Count("block finished");
    Count(absl::StrCat("block finished of ", job_name));
  }
  void LeaseExpired(const ObservedLease& lease) override {
    Count("lease expired");
    CountLease(lease, "expired");
  }
  void StaleWriteRefused(const ObservedLease& lease, absl::string_view what) override {
    Count(absl::StrCat("stale ", what));
    CountLease(lease, absl::StrCat("stale ", what));
  }
  void Problem(absl::string_view doing, const absl::Status& status) override {
    const absl::MutexLock lock(&mutex_);
    problems_.push_back(absl::StrCat(doing, ": ", status.ToString()));
  }

  int Counted(const std::string& what) const {
    const absl::MutexLock lock(&mutex_);
    const auto it = counts_.find(what);
    return it == counts_.end() ? 0 : it->second;
  }
  std::vector<std::string> problems() const {
    const absl::MutexLock lock(&mutex_);
    return problems_;
  }

 private:
  // "namespaces/default/quantizationJobs/job scan 1 worker-a succeeded"
  void CountLease(const ObservedLease& lease, absl::string_view what) {
    Count(absl::StrCat(lease.job, " ", lease.task, " ", lease.epoch, " ", lease.worker, " ", what));
  }
  void Count(const std::string& what) {
    const absl::MutexLock lock(&mutex_);
    ++counts_[what];
  }

  mutable absl::Mutex mutex_;
  std::map<std::string, int> counts_;
  std::vector<std::string> problems_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_JOBS_RECORDING_OBSERVER_H_
