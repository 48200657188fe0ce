#ifndef TERN_SERVER_JOBS_JOB_OPERATIONS_H_
#define TERN_SERVER_JOBS_JOB_OPERATIONS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/jobs/jobs_context.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// The standard methods on jobs. Thread-safe. NOT_FOUND (reason JOB_NOT_FOUND) names the job.
class JobOperations {
 public:
  explicit JobOperations(const JobsContext& context) : context_(context) {}

  absl::StatusOr<v1::QuantizationJob> Get(absl::string_view name);

  // A job together with the last sequence of its events that it includes, and what names it in
  // signals: the start of a watch.
  struct Snapshot {
    v1::QuantizationJob job;
    int64_t sequence = 0;
    std::string uid;
  };
  absl::StatusOr<Snapshot> GetSnapshot(absl::string_view name);

  // How far the job is at this moment, active tasks included.
  absl::StatusOr<v1::Progress> GetProgress(absl::string_view name);

  absl::StatusOr<v1::ListQuantizationJobsResponse> List(
      const v1::ListQuantizationJobsRequest& request);

  // FAILED_PRECONDITION (JOB_ENDED) for a job that succeeded or failed.
  absl::StatusOr<v1::QuantizationJob> Cancel(absl::string_view name);
  // FAILED_PRECONDITION (JOB_ACTIVE) for a job that is not terminal.
  absl::Status Delete(absl::string_view name);

  // For metrics: every state is there.
  absl::StatusOr<std::map<JobState, int64_t>> CountJobs();
  absl::StatusOr<TaskCounts> CountTasks();

 private:
  const JobsContext& context_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_OPERATIONS_H_
