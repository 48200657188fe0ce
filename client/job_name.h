#ifndef TERN_CLIENT_JOB_NAME_H_
#define TERN_CLIENT_JOB_NAME_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// "namespaces/{id}"
std::string NamespaceName(absl::string_view id);

// The resource name of a job given as its bare id, which is looked for in the namespace
// `namespace_id`, or as its full name. INVALID_ARGUMENT for anything else.
absl::StatusOr<std::string> JobName(const std::string& job, absl::string_view namespace_id);

}  // namespace tern

#endif  // TERN_CLIENT_JOB_NAME_H_
