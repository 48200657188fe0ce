#ifndef TERN_SERVER_JOBS_JOB_NAMES_H_
#define TERN_SERVER_JOBS_JOB_NAMES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

struct JobName {
  std::string name_space;
  std::string id;
};

// "namespaces/{namespace}/quantizationJobs/{job}"
std::string FormatJobName(absl::string_view name_space, absl::string_view id);
// INVALID_ARGUMENT at the field "name".
absl::StatusOr<JobName> ParseJobName(absl::string_view name);

// The namespace of "namespaces/{namespace}"; "default" for "". INVALID_ARGUMENT at "parent".
// "namespaces/-" gives "-", and is refused unless `wildcard`.
absl::StatusOr<std::string> ParseParent(absl::string_view parent, bool wildcard);

// 1 to 63 of [a-z0-9-], starting with a letter and not ending with "-".
bool IsValidResourceId(absl::string_view id);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_NAMES_H_
