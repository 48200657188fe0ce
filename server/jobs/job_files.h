#ifndef TERN_SERVER_JOBS_JOB_FILES_H_
#define TERN_SERVER_JOBS_JOB_FILES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/jobs_context.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// A committed file, open for reading; stays readable when the job is deleted meanwhile.
struct OpenFile {
  std::string path;
  int64_t index = 0;  // 0: an input of the job, not part of the checkpoint
  int64_t size = 0;
  std::string sha256;
  std::unique_ptr<BlobReader> blob;
};

// For ReadBlob: an input ("inputs/calibration.safetensors") or a committed checkpoint file.
// NOT_FOUND (JOB_NOT_FOUND or FILE_NOT_FOUND) names it. Thread-safe.
absl::StatusOr<OpenFile> OpenJobFile(const JobsContext& context, absl::string_view job_uid,
                                     absl::string_view path);

// What a checkpoint stream sends next.
struct NextFile {
  // The first committed file with an index of at least the one asked for.
  std::optional<OpenFile> file;
  // There is none and there will be none: the job has succeeded.
  bool ended = false;
};

// For StreamCheckpoint: ABORTED (JOB_FAILED, JOB_CANCELLED) when the job ended without a
// checkpoint, NOT_FOUND when it is deleted. With neither a file nor `ended`, wait for the job
// signal of `job_uid`. Thread-safe.
absl::StatusOr<NextFile> OpenNextFile(const JobsContext& context, absl::string_view job_uid,
                                      int64_t from_index);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_FILES_H_
