#include "client/job_name.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tern {

std::string NamespaceName(absl::string_view id) { return absl::StrCat("namespaces/", id); }

absl::StatusOr<std::string> JobName(const std::string& job, absl::string_view namespace_id) {
  const std::vector<std::string> parts = absl::StrSplit(job, '/');
  if (parts.size() == 1 && !job.empty()) {
    return absl::StrCat(NamespaceName(namespace_id), "/quantizationJobs/", job);
  }
  if (parts.size() == 4 && parts[0] == "namespaces" && !parts[1].empty() &&
      parts[2] == "quantizationJobs" && !parts[3].empty()) {
    return job;
  }
  return absl::InvalidArgumentError(absl::StrCat("JOB: \"", job,
                                                 "\" is neither an id nor a name of the form ",
                                                 "namespaces/NAMESPACE/quantizationJobs/ID"));
}

}  // namespace tern
