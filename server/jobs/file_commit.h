#ifndef TERN_SERVER_JOBS_FILE_COMMIT_H_
#define TERN_SERVER_JOBS_FILE_COMMIT_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/jobs/jobs_context.h"
#include "server/store/store.h"

namespace tern {

// Within a transaction: `file` becomes the next of the job's checkpoint (its index is set), and
// watchers hear of it. The caller writes the job's row.
absl::Status CommitFile(const JobsContext& context, Transaction& transaction, JobRecord& job,
                        FileRecord file, absl::Time now);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_FILE_COMMIT_H_
