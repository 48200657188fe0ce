#ifndef TERN_SERVER_JOBS_JOBS_CONTEXT_H_
#define TERN_SERVER_JOBS_JOBS_CONTEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/change_signal.h"
#include "server/jobs/clock.h"
#include "server/jobs/jobs_observer.h"
#include "server/jobs/jobs_options.h"
#include "server/jobs/worker_registry.h"
#include "server/store/store.h"

namespace tern {

// What everything here works with. All of it outlives its users and is thread-safe.
struct JobsContext {
  JobsOptions options;
  Store& store;
  BlobStore& blobs;
  const Clock& clock;
  JobsObserver& observer;
  WorkerRegistry& workers;
  // Notified with kWorkKey when a task may have become free for some worker.
  ChangeSignal& work_signal;
  // Notified with a job's uid when it has new events or files or another state, and when it is
  // deleted; with ProgressKey(uid) when a worker reported progress on it.
  ChangeSignal& job_signal;
};

inline constexpr char kWorkKey[] = "work";
std::string ProgressKey(absl::string_view job_uid);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOBS_CONTEXT_H_
