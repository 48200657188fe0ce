#include "server/jobs/job_names.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/service/error_details.h"

namespace tern {

std::string FormatJobName(absl::string_view name_space, absl::string_view id) {
  return absl::StrCat("namespaces/", name_space, "/quantizationJobs/", id);
}

absl::StatusOr<JobName> ParseJobName(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  if (parts.size() != 4 || parts[0] != "namespaces" || parts[2] != "quantizationJobs" ||
      !IsValidResourceId(parts[1]) || !IsValidResourceId(parts[3])) {
    return InvalidField("name", absl::StrCat("\"", name,
                                             "\" is not of the form "
                                             "namespaces/{namespace}/quantizationJobs/{job}"));
  }
  return JobName{std::string(parts[1]), std::string(parts[3])};
}

absl::StatusOr<std::string> ParseParent(absl::string_view parent, bool wildcard) {
  if (parent.empty()) return "default";
  const std::vector<absl::string_view> parts = absl::StrSplit(parent, '/');
  const bool well_formed = parts.size() == 2 && parts[0] == "namespaces" &&
                           (IsValidResourceId(parts[1]) || (wildcard && parts[1] == "-"));
  if (!well_formed) {
    return InvalidField("parent",
                        absl::StrCat("\"", parent, "\" is not of the form namespaces/{namespace}"));
  }
  return std::string(parts[1]);
}

bool IsValidResourceId(absl::string_view id) {
  return !id.empty() && id.size() <= 63 && absl::ascii_islower(id.front()) && id.back() != '-' &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

}  // namespace tern
