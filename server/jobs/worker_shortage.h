#ifndef TERN_SERVER_JOBS_WORKER_SHORTAGE_H_
#define TERN_SERVER_JOBS_WORKER_SHORTAGE_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/worker_registry.h"
#include "server/store/store.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// Why no worker takes anything of a job that is not being worked on; nullopt where one could, or
// where nothing is ready. `workers` are all that are known.
absl::StatusOr<std::optional<v1::WorkerShortage>> FindShortage(
    StoreReader& reader, const JobRecord& job, const std::vector<WorkerInfo>& workers);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_WORKER_SHORTAGE_H_
