#include "server/jobs/jobs_context.h"

#include "absl/strings/str_cat.h"

namespace tern {

std::string ProgressKey(absl::string_view job_uid) { return absl::StrCat(job_uid, "/progress"); }

}  // namespace tern
