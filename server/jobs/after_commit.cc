#include "server/jobs/after_commit.h"

#include "absl/status/status.h"

namespace tern {

void AfterCommit::Run(const JobsContext& context) const {
  const auto check = [&context](const absl::Status& status) {
    if (!status.ok()) context.observer.Problem("delete blobs", status);
  };
  for (const std::string& uid : jobs_) context.job_signal.Notify(uid);
  if (work_) context.work_signal.Notify(kWorkKey);
  for (const auto& observation : observations_) observation(context.observer);
  for (const std::string& key : blobs_) check(context.blobs.Delete(key));
  for (const std::string& prefix : prefixes_) check(context.blobs.DeletePrefix(prefix));
}

}  // namespace tern
