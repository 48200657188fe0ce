#ifndef TERN_SERVER_JOBS_TASK_COMPLETION_H_
#define TERN_SERVER_JOBS_TASK_COMPLETION_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/jobs_context.h"
#include "server/store/store.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// Whether `result` is what `task` asks for and every file it names, and every file the task must
// make, was uploaded under its lease. INVALID_ARGUMENT says what is wrong.
absl::Status CheckResult(StoreReader& reader, const JobRecord& job, const TaskRecord& task,
                         const worker::v1::TaskResult& result);

// Within a transaction: `task`, which is leased and whose result was checked, is done; its files
// are the job's (rotations) or part of the checkpoint, what waited for it alone is ready, watchers
// hear of it. After the last measurement of a mixed choice the activation bits are chosen, or more
// is measured. Both rows are written.
absl::Status CompleteTask(const JobsContext& context, Transaction& transaction, JobRecord& job,
                          TaskRecord& task, worker::v1::TaskResult result, absl::Time now,
                          AfterCommit& after);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TASK_COMPLETION_H_
