#ifndef TERN_SERVER_JOBS_JOB_VIEW_H_
#define TERN_SERVER_JOBS_JOB_VIEW_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/jobs_context.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// The job's stored document. DATA_LOSS when it does not parse.
absl::StatusOr<v1::QuantizationJob> ReadDocument(const JobRecord& job);

// How far the job is at this moment, and what it waits for.
absl::StatusOr<v1::Progress> ViewProgress(const JobsContext& context, const JobRecord& job);

// Sets the fields of `view` that are derived from the row.
absl::Status AddRow(const JobsContext& context, const JobRecord& job, v1::QuantizationJob& view);

// A job as the API shows it: the document and what is derived from the row, with the progress of
// this moment.
absl::StatusOr<v1::QuantizationJob> ViewJob(const JobsContext& context, const JobRecord& job);

// "namespaces/{namespace}/quantizationJobs/{job}"
std::string NameOf(const JobRecord& job);

inline bool IsTerminal(JobState state) {
  return state != JobState::kPending && state != JobState::kRunning;
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_VIEW_H_
