#ifndef TERN_SERVER_JOBS_TASK_FAILURE_H_
#define TERN_SERVER_JOBS_TASK_FAILURE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/jobs_context.h"
#include "server/store/store.h"

namespace tern {

// Each ends the lease `task` is held under, within a transaction: its staged files go, and the task
// becomes ready again or, past a limit, fails with all its errors, and the job with it. Both rows
// are written.

// The worker reported a failure. `permanent`: trying again is useless.
absl::Status FailAttempt(const JobsContext& context, Transaction& transaction, JobRecord& job,
                         TaskRecord& task, const google::rpc::Status& error, bool permanent,
                         absl::Time now, AfterCommit& after);

// The worker is gone, or silent past its deadline; it is no longer shown at work.
absl::Status LoseWorker(const JobsContext& context, Transaction& transaction, JobRecord& job,
                        TaskRecord& task, const std::string& reason, absl::Time now,
                        AfterCommit& after);

// The worker gave the task back unfinished; nothing is counted.
absl::Status ReleaseTask(Transaction& transaction, TaskRecord& task, absl::Time now,
                         AfterCommit& after);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TASK_FAILURE_H_
