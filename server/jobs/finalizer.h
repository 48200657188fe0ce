#ifndef TERN_SERVER_JOBS_FINALIZER_H_
#define TERN_SERVER_JOBS_FINALIZER_H_

#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/jobs/jobs_context.h"

namespace tern {

// Ends jobs whose tasks are all done: writes report, model card and manifest, and in one
// transaction commits them and makes the job SUCCEEDED. Thread-safe.
class Finalizer {
 public:
  explicit Finalizer(const JobsContext& context) : context_(context) {}

  // Does nothing unless the job is running with all tasks done, so that it may be called again
  // after any crash, and by several threads at once. When it fails (a full disk, say) the job stays
  // as it is, the observer hears why, and Retry tries again.
  void Finish(absl::string_view job_uid);
  void Retry();

 private:
  absl::Status TryFinish(absl::string_view job_uid) const;

  const JobsContext& context_;
  absl::Mutex mutex_;
  std::set<std::string> unfinished_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_FINALIZER_H_
