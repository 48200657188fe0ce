#ifndef TERN_CLIENT_REPORT_TEXT_H_
#define TERN_CLIENT_REPORT_TEXT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// A succeeded job's report for people: quality, bits, time by stage, a row per block.
std::string ReportText(const v1::QuantizationJob& job);

// The report as tern-report.json has it, after "name" and "state" of the job; without a report
// (a job that did not succeed) "error" instead, if there is one.
absl::StatusOr<nlohmann::ordered_json> OutcomeJson(const v1::QuantizationJob& job);

// What `tern jobs get` shows: state, times, progress, model, spec, error.
std::string JobText(const v1::QuantizationJob& job);

// A row per job.
std::string JobsTable(const std::vector<v1::QuantizationJob>& jobs);

}  // namespace tern

#endif  // TERN_CLIENT_REPORT_TEXT_H_
