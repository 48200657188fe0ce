#ifndef TERN_SERVER_JOBS_AFTER_COMMIT_H_
#define TERN_SERVER_JOBS_AFTER_COMMIT_H_

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/jobs/jobs_context.h"

namespace tern {

// What is to be done once a transaction is committed, collected while it runs. A transaction's body
// that runs again starts with a new one. What a crash keeps from being done recovery makes up for
// (blobs) or nobody misses (signals, observations). Thread-compatible.
class AfterCommit {
 public:
  void NotifyJob(absl::string_view uid) { jobs_.insert(std::string(uid)); }
  void NotifyWork() { work_ = true; }
  void DeleteBlob(std::string key) { blobs_.push_back(std::move(key)); }
  // All blobs of a job.
  void DeleteJobBlobs(std::string prefix) { prefixes_.push_back(std::move(prefix)); }
  void Observe(std::function<void(JobsObserver&)> observation) {
    observations_.push_back(std::move(observation));
  }
  // All tasks of the job are done.
  void FinishJob(absl::string_view uid) { finished_.insert(std::string(uid)); }

  const std::set<std::string>& finished_jobs() const { return finished_; }

  // Does everything but finish jobs. Failures go to the observer.
  void Run(const JobsContext& context) const;

 private:
  std::set<std::string> jobs_;
  bool work_ = false;
  std::vector<std::string> blobs_;
  std::vector<std::string> prefixes_;
  std::vector<std::function<void(JobsObserver&)>> observations_;
  std::set<std::string> finished_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_AFTER_COMMIT_H_
