#ifndef TERN_WORKER_AGENT_JOB_TASK_RUNNER_H_
#define TERN_WORKER_AGENT_JOB_TASK_RUNNER_H_

#include <string>
#include <vector>

#include "worker/agent/task_runner.h"
#include "worker/agent/tasks.h"

namespace tern {

// Executes the tasks of quantization jobs on a backend. What one task leaves for the next (open
// model, windows, calibration state) is kept for one job at a time.
//
// A failure is permanent when the spec, the model or a committed file is at fault
// (INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, DATA_LOSS). Everything else
// may go better elsewhere or later: transfers, memory, disks, a model folder this worker cannot
// see.
class JobTaskRunner final : public TaskRunner {
 public:
  // The references must outlive the runner. `threads` work beside the backend's where a task needs
  // no backend.
  JobTaskRunner(Backend& backend, BlobClient& blobs, WorkerMetrics& metrics, int threads,
                std::string worker_id);

  TaskOutcome Run(const tern::worker::v1::Task& task, TaskProgress& progress) override;
  void Rest() override;
  absl::Status Health() override { return tools_.backend.Health(); }
  std::vector<tern::worker::v1::WarmShard> Warm() const override { return ahead_.Warm(); }

 private:
  absl::StatusOr<tern::worker::v1::TaskResult> Dispatch(const tern::worker::v1::Task& task,
                                                        TaskProgress& progress);

  // Device memory is counted job by job.
  absl::Status CountPeakOf(const std::string& job_uid);

  std::string job_uid_;  // of the task before
  int rests_ = 0;        // since then
  JobInputs inputs_;
  TaskTools tools_;
  WeightsAhead weights_;
  KeptSensitivity kept_sensitivity_;
  BlockAhead ahead_;  // its work uses the others
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_JOB_TASK_RUNNER_H_
