#include "checkpoint/status_macros.h"
#include "worker/agent/tasks.h"

namespace tern {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

absl::StatusOr<TaskResult> RunScan(TaskTools& tools, const Task& task, TaskProgress& progress) {
  progress.EnterStage("scan");
  TaskResult result;
  TERN_ASSIGN_OR_RETURN(*result.mutable_scan()->mutable_digest(),
                        tools.inputs.ScanModel(
                            task.spec().model(), tools.threads,
                            [&](double fraction) { progress.Show(fraction); }, progress));
  return result;
}

}  // namespace tern
