#ifndef TERN_SERVER_JOBS_JOBS_OPTIONS_H_
#define TERN_SERVER_JOBS_JOBS_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace tern {

struct SchedulerOptions {
  // How long a lease lasts after the last report. A report renews it once half of it has passed.
  absl::Duration lease_duration = absl::Seconds(30);
  // How often a busy worker is asked to report.
  absl::Duration report_interval = absl::Seconds(1);
  // How long a block whose calibration state some other living worker holds is kept for that one.
  absl::Duration affinity_grace = absl::Seconds(2);
  // How long a task rests after a failed attempt, times the attempts so far.
  absl::Duration retry_delay = absl::Seconds(1);
  // A task that failed this often, or lost this many workers, fails its job.
  int32_t max_attempts = 3;
  int32_t max_worker_deaths = 20;
};

struct JobsOptions {
  SchedulerOptions scheduler;
  // Folders that submitted paths must lie beneath; empty: any absolute path.
  std::vector<std::string> input_roots;
  // Events kept per job. At least this many of the last ones can be read.
  int64_t events_kept = 10000;
  // How long a request_id is remembered.
  absl::Duration request_ids_kept = absl::Hours(48);
  // Disk that is never filled by jobs.
  int64_t reserved_free_bytes = int64_t{64} << 20;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOBS_OPTIONS_H_
