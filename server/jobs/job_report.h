#ifndef TERN_SERVER_JOBS_JOB_REPORT_H_
#define TERN_SERVER_JOBS_JOB_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// The report of a job all of whose `tasks` are done, ending at `end`. Sums are taken in the order
// of the tasks, so they do not depend on who ran what when. Pure.
absl::StatusOr<v1::JobReport> MakeReport(const JobRecord& job, const std::vector<TaskRecord>& tasks,
                                         absl::Time end);

// tern-report.json: the report with the names of tern.v1.JobReport, readable.
absl::StatusOr<std::string> ReportJson(const v1::JobReport& report);

// README.md of the checkpoint: what it is, how it was made, how good it is, how to use it. Says
// nothing that differs between runs of the same spec (times, workers, the job's name). Pure.
std::string ModelCard(const v1::JobReport& report);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_REPORT_H_
