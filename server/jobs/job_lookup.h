#ifndef TERN_SERVER_JOBS_JOB_LOOKUP_H_
#define TERN_SERVER_JOBS_JOB_LOOKUP_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/store.h"

namespace tern {

// A job that must be there: NOT_FOUND (JOB_NOT_FOUND) names it.
absl::StatusOr<JobRecord> GetJobByUid(StoreReader& reader, absl::string_view uid);
// INVALID_ARGUMENT when `name` is no job name.
absl::StatusOr<JobRecord> GetJobByName(StoreReader& reader, absl::string_view name);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_LOOKUP_H_
