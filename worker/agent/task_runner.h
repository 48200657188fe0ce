#ifndef TERN_WORKER_AGENT_TASK_RUNNER_H_
#define TERN_WORKER_AGENT_TASK_RUNNER_H_

#include <vector>

#include "absl/status/status.h"
#include "tern/worker/v1/worker_service.pb.h"
#include "worker/agent/task_progress.h"

namespace tern {

// How a task ended.
struct TaskOutcome {
  absl::Status status;     // OK: `result` is set
  bool permanent = false;  // of a failure: the same inputs would fail again
  tern::worker::v1::TaskResult result = {};
};

// What executes tasks; the lease loop knows nothing of what is inside them.
class TaskRunner {
 public:
  virtual ~TaskRunner() = default;

  // Computes one task from start to end, one at a time. CANCELLED soon after `progress` was
  // stopped.
  virtual TaskOutcome Run(const tern::worker::v1::Task& task, TaskProgress& progress) = 0;

  // There was nothing to do for as long as the server holds a call: what was kept for a next task
  // may go. Never called while a task runs.
  virtual void Rest() = 0;

  // The fault, if any, after which this process can run no further task: that of a device. Asked
  // after a task that failed.
  virtual absl::Status Health() = 0;

  // Calibration states held in memory. Thread-safe.
  virtual std::vector<tern::worker::v1::WarmShard> Warm() const = 0;
};

// "scan", "quantize", "assemble", "evaluate"; "unknown" for work this build does not know.
const char* TaskKind(const tern::worker::v1::Task& task);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_TASK_RUNNER_H_
