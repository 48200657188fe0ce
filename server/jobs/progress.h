#ifndef TERN_SERVER_JOBS_PROGRESS_H_
#define TERN_SERVER_JOBS_PROGRESS_H_

#include <vector>

#include "absl/time/time.h"
#include "server/jobs/worker_registry.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// How far a job is. The fraction counts done tasks by cost, and active ones by cost and their own
// fraction; the time left is that since the start, extrapolated. `active` are workers with an
// activity on this job. Pure.
v1::Progress ComputeProgress(const JobRecord& job, const std::vector<WorkerInfo>& active,
                             absl::Time now);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_PROGRESS_H_
