#ifndef TERN_SERVER_JOBS_JOB_STATE_H_
#define TERN_SERVER_JOBS_JOB_STATE_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/jobs_context.h"
#include "server/store/store.h"

namespace tern {

// Ends `job`, which is not terminal, as kFailed or kCancelled: its open tasks are dropped (so every
// lease on them is stale), its files go, watchers hear of it. A document that does not parse is
// replaced by one with the error alone. Writes the job's row.
absl::Status EndWithoutCheckpoint(const JobsContext& context, Transaction& transaction,
                                  JobRecord& job, JobState state,
                                  const std::optional<google::rpc::Status>& error, absl::Time now,
                                  AfterCommit& after);

// Appends the event of a new state. The caller writes the row.
absl::Status ChangeState(const JobsContext& context, Transaction& transaction, JobRecord& job,
                         JobState state, absl::Time now, AfterCommit& after);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_STATE_H_
