#include "server/jobs/job_lookup.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/job_names.h"

namespace tern {
namespace {

absl::StatusOr<JobRecord> MustExist(std::optional<JobRecord> job, absl::string_view name) {
  if (job.has_value()) return *std::move(job);
  return WithReason(absl::NotFoundError(absl::StrCat("job ", name, " does not exist")),
                    "JOB_NOT_FOUND");
}

}  // namespace

absl::StatusOr<JobRecord> GetJobByUid(StoreReader& reader, absl::string_view uid) {
  TERN_ASSIGN_OR_RETURN(std::optional<JobRecord> job, reader.GetJob(uid));
  return MustExist(std::move(job), uid);
}

absl::StatusOr<JobRecord> GetJobByName(StoreReader& reader, absl::string_view name) {
  TERN_ASSIGN_OR_RETURN(const JobName parsed, ParseJobName(name));
  TERN_ASSIGN_OR_RETURN(std::optional<JobRecord> job, reader.FindJob(parsed.name_space, parsed.id));
  return MustExist(std::move(job), name);
}

}  // namespace tern
