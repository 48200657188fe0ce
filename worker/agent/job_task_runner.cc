#include "worker/agent/job_task_runner.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/service/log.h"
#include "worker/agent/process_memory.h"

namespace tern {
namespace {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

constexpr int kRestsOfAHeldState = 10;  // of up to half a minute each

bool IsPermanent(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

}  // namespace

JobTaskRunner::JobTaskRunner(Backend& backend, BlobClient& blobs, WorkerMetrics& metrics,
                             int threads, std::string worker_id)
    : inputs_(blobs),
      tools_{backend, blobs,    inputs_,
             ahead_,  weights_, kept_sensitivity_,
             metrics, threads,  std::move(worker_id)},
      weights_(backend) {}

TaskOutcome JobTaskRunner::Run(const Task& task, TaskProgress& progress) {
  Log(LogLevel::kInfo, "task started",
      {{"job", task.job()}, {"task", task.lease().task()}, {"epoch", task.lease().epoch()}});
  // Rotations are found between blocks; other kinds of tasks run when a job's blocks are done, or
  // belong to another job.
  if (task.has_rotate()) {
    ahead_.StopWork();
  } else if (!task.has_quantize()) {
    ahead_.Drop();
    weights_.Drop();
  }
  if (!task.has_sensitivity()) kept_sensitivity_.Drop();
  rests_ = 0;
  const absl::Status counting = CountPeakOf(task.job_uid());
  absl::StatusOr<TaskResult> result = counting.ok() ? Dispatch(task, progress) : counting;
  if (result.ok()) {
    // What was read in between counts only if the model is the same to the end.
    const absl::Status same = inputs_.Model(task, tools_.threads, progress).status();
    if (!same.ok()) result = same;
  }
  ReturnFreeMemory();

  TaskOutcome outcome;
  if (!result.ok()) {
    outcome.status = result.status();
    outcome.permanent = IsPermanent(outcome.status);
    return outcome;
  }
  outcome.result = *std::move(result);
  outcome.result.set_device(tools_.backend.name());
  if (const std::optional<DeviceMemory> memory = tools_.backend.memory(); memory.has_value()) {
    tools_.metrics.SetDevicePeakBytes(memory->peak);
    outcome.result.set_device_memory_peak_bytes(memory->peak);
  }
  double total = 0;
  if (outcome.result.seconds().empty()) {
    const auto seconds = progress.seconds();
    outcome.result.mutable_seconds()->insert(seconds.begin(), seconds.end());
  }
  for (const auto& [stage, seconds] : outcome.result.seconds()) total += seconds;
  Log(LogLevel::kInfo, "task done",
      {{"job", task.job()},
       {"task", task.lease().task()},
       {"epoch", task.lease().epoch()},
       {"seconds", total}});
  return outcome;
}

absl::Status JobTaskRunner::CountPeakOf(const std::string& job_uid) {
  if (job_uid == job_uid_) return absl::OkStatus();
  job_uid_ = job_uid;
  return tools_.backend.ResetPeakMemory();
}

void JobTaskRunner::Rest() {
  // A state that is held may wait for rotations that others find, but not for ever.
  if (++rests_ > kRestsOfAHeldState) {
    ahead_.Drop();
  } else {
    ahead_.StopWork();
  }
  weights_.Drop();
  kept_sensitivity_.Drop();
  inputs_.Clear();
  ReturnFreeMemory();
  if (const absl::Status released = tools_.backend.ReleaseUnused(); !released.ok()) {
    Log(LogLevel::kWarning, "device memory was not released", {{"error", released.ToString()}});
  }
}

absl::StatusOr<TaskResult> JobTaskRunner::Dispatch(const Task& task, TaskProgress& progress) {
  switch (task.work_case()) {
    case Task::kScan:
      return RunScan(tools_, task, progress);
    case Task::kQuantize:
      return RunQuantize(tools_, task, progress);
    case Task::kAssemble:
      return RunAssemble(tools_, task, progress);
    case Task::kEvaluate:
      return RunEvaluate(tools_, task, progress);
    case Task::kRotate:
      return RunRotate(tools_, task, progress);
    case Task::kSensitivity:
      return RunSensitivity(tools_, task, progress);
    case Task::WORK_NOT_SET:
      break;
  }
  return absl::UnimplementedError(
      absl::StrCat("task ", task.lease().task(), " is of a kind this worker does not know"));
}

}  // namespace tern
