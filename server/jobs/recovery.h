#ifndef TERN_SERVER_JOBS_RECOVERY_H_
#define TERN_SERVER_JOBS_RECOVERY_H_

#include "absl/status/status.h"
#include "server/jobs/finalizer.h"
#include "server/jobs/jobs_context.h"

namespace tern {

// Puts right what a process that ended at any instant left, before anything else runs:
//  - leases of supervised workers are taken back (they died with their server, which no count of
//    worker deaths includes), those of other workers last for at least another lease duration, so
//    that workers that live carry on;
//  - blobs that no row names are deleted;
//  - jobs whose tasks are all done are finished.
absl::Status Recover(const JobsContext& context, Finalizer& finalizer);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_RECOVERY_H_
