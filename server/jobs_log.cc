#include "server/jobs_log.h"

#include <string>

#include "proto/service/log.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

void JobsLog::JobCreated(absl::string_view job_name) {
  Log(LogLevel::kInfo, "job created", {{"job", job_name}});
  metrics_.JobCreated(job_name);
}

void JobsLog::JobEnded(absl::string_view job_name, JobState state, absl::string_view error) {
  const auto proto_state = static_cast<v1::QuantizationJob::State>(state);
  const std::string& state_name = v1::QuantizationJob::State_Name(proto_state);
  if (state == JobState::kFailed) {
    Log(LogLevel::kWarning, "job ended",
        {{"job", job_name}, {"state", state_name}, {"error", error}});
  } else {
    Log(LogLevel::kInfo, "job ended", {{"job", job_name}, {"state", state_name}});
  }
  metrics_.JobEnded(job_name, state, error);
}

void JobsLog::TaskAttempt(const ObservedLease& lease, absl::string_view kind,
                          absl::string_view outcome) {
  Log(outcome == "succeeded" ? LogLevel::kDebug : LogLevel::kWarning, "task attempt ended",
      {{"job", lease.job},
       {"task", lease.task},
       {"epoch", lease.epoch},
       {"worker", lease.worker},
       {"outcome", outcome}});
  metrics_.TaskAttempt(lease, kind, outcome);
}

void JobsLog::BlockFinished(absl::string_view job_name, const v1::BlockMetrics& metrics) {
  Log(LogLevel::kDebug, "block finished",
      {{"job", job_name},
       {"block", metrics.block()},
       {"reconstruction_error", metrics.reconstruction_error()},
       {"worker", metrics.worker()}});
  metrics_.BlockFinished(job_name, metrics);
}

void JobsLog::LeaseExpired(const ObservedLease& lease) {
  Log(LogLevel::kWarning, "lease taken back from a lost worker",
      {{"job", lease.job}, {"task", lease.task}, {"epoch", lease.epoch}, {"worker", lease.worker}});
  metrics_.LeaseExpired(lease);
}

void JobsLog::StaleWriteRefused(const ObservedLease& lease, absl::string_view what) {
  Log(LogLevel::kInfo, "stale write refused",
      {{"job", lease.job}, {"task", lease.task}, {"epoch", lease.epoch}, {"what", what}});
  metrics_.StaleWriteRefused(lease, what);
}

void JobsLog::Problem(absl::string_view doing, const absl::Status& status) {
  Log(LogLevel::kError, "upkeep failed and is tried again",
      {{"doing", doing}, {"error", status.ToString()}});
  metrics_.Problem(doing, status);
}

}  // namespace tern
