#include "server/jobs/progress.h"

#include <algorithm>

#include "server/jobs/timestamps.h"

namespace tern {
namespace {

constexpr absl::Duration kLongestEta = absl::Hours(24 * 365);

// Below this share of the expected cost there is no pace to go by.
constexpr double kLeastFractionForEta = 0.02;

bool IsActive(JobState state) { return state == JobState::kPending || state == JobState::kRunning; }

}  // namespace

v1::Progress ComputeProgress(const JobRecord& job, const std::vector<WorkerInfo>& active,
                             absl::Time now) {
  v1::Progress progress;
  progress.set_blocks_done(job.blocks_done);
  progress.set_blocks_total(job.blocks_total);
  progress.set_tasks_done(job.tasks_done);
  progress.set_tasks_total(job.tasks_total);
  progress.set_failed_attempts(job.failed_attempts);
  progress.set_worker_deaths(job.worker_deaths);

  double cost = job.cost_done;
  if (IsActive(job.state)) {
    for (const WorkerInfo& worker : active) {
      cost += worker.activity->fraction * worker.activity->cost;
      v1::ActiveTask& task = *progress.add_active();
      task.set_task(worker.activity->task);
      task.set_worker(worker.id);
      task.set_stage(worker.activity->stage);
      task.set_fraction(worker.activity->fraction);
    }
  }
  const double fraction =
      job.state == JobState::kSucceeded ? 1.0 : std::clamp(cost / job.cost_total, 0.0, 1.0);
  progress.set_fraction(fraction);

  if (job.state == JobState::kRunning && fraction >= kLeastFractionForEta) {
    const absl::Duration left = (now - job.start_time) * ((1 - fraction) / fraction);
    *progress.mutable_eta() = ToDuration(std::clamp(left, absl::ZeroDuration(), kLongestEta));
  }
  return progress;
}

}  // namespace tern
