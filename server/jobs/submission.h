#ifndef TERN_SERVER_JOBS_SUBMISSION_H_
#define TERN_SERVER_JOBS_SUBMISSION_H_

#include "absl/status/statusor.h"
#include "server/jobs/jobs_context.h"
#include "server/jobs/submitted_inputs.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// Makes jobs. Thread-safe; a call reads the whole calibration and evaluation text and may take
// seconds, so it does not belong on a thread that serves others.
class Submission {
 public:
  explicit Submission(const JobsContext& context) : context_(context) {}

  // Checks everything that can be checked before a worker is busied, writes the job's inputs, and
  // creates the job with its tasks. On any error nothing is left behind, and so with
  // validate_only. Errors as in tern.v1.QuantizationService.CreateQuantizationJob; reasons:
  //   INVALID_FIELD       INVALID_ARGUMENT, the field is out of range or malformed
  //   MODEL_UNSUPPORTED   INVALID_ARGUMENT, model folder damaged or its architecture unknown
  //   INPUT_NOT_FOUND     NOT_FOUND
  //   PATH_NOT_ALLOWED    PERMISSION_DENIED, outside the input roots
  //   INPUT_INVALID       INVALID_ARGUMENT, text unreadable, empty or too short; ids out of range
  //   REQUEST_ID_REUSED   ALREADY_EXISTS
  //   JOB_ID_IN_USE       ALREADY_EXISTS
  //   DISK_FULL           RESOURCE_EXHAUSTED
  //   WORKER_MEMORY       RESOURCE_EXHAUSTED, no worker connected has memory enough
  // and what `still_wanted` returns, which is asked between documents and before the job is made.
  absl::StatusOr<v1::QuantizationJob> Create(
      const v1::CreateQuantizationJobRequest& request,
      const StillWanted& still_wanted = [] { return absl::OkStatus(); });

 private:
  const JobsContext& context_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_SUBMISSION_H_
