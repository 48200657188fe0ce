#ifndef TERN_SERVER_JOBS_BLOB_KEYS_H_
#define TERN_SERVER_JOBS_BLOB_KEYS_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace tern {

// Everything a job keeps lies beneath jobs/{uid}.
inline constexpr char kJobsPrefix[] = "jobs";
inline std::string JobPrefix(absl::string_view uid) { return absl::StrCat(kJobsPrefix, "/", uid); }

// Inputs (proto/service/job_inputs.h) keep their paths as keys.
inline std::string InputKey(absl::string_view uid, absl::string_view path) {
  return absl::StrCat(JobPrefix(uid), "/", path);
}

// No two uploads share a key: each has its own `upload` (random), and the lease's epoch.
inline std::string UploadKey(absl::string_view uid, absl::string_view task, int64_t epoch,
                             absl::string_view upload, absl::string_view path) {
  return absl::StrCat(JobPrefix(uid), "/", absl::StrReplaceAll(task, {{"/", "-"}}), "/e", epoch,
                      "/", upload, "/", path);
}

// Files the server itself adds to a checkpoint: report and manifest (packed_format.h) and these.
inline constexpr char kModelCardFile[] = "README.md";
inline constexpr char kActivationBitsFile[] = "tern-activation-bits.svg";
inline std::string ReportKey(absl::string_view uid, absl::string_view writing,
                             absl::string_view path) {
  return absl::StrCat(JobPrefix(uid), "/report/", writing, "/", path);
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_BLOB_KEYS_H_
