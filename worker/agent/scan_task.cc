#include "checkpoint/status_macros.h"
#include "worker/agent/tasks.h"
#include "worker/agent/weight_scan.h"

namespace tern {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

absl::StatusOr<TaskResult> RunScan(TaskTools& tools, const Task& task, TaskProgress& progress) {
  progress.EnterStage("scan");
  TERN_ASSIGN_OR_RETURN(const auto model, tools.inputs.Model(task.spec().model()));
  TaskResult result;
  TERN_ASSIGN_OR_RETURN(
      *result.mutable_scan()->mutable_digest(),
      ScanWeights(
          *model, tools.threads, [&](double fraction) { progress.Show(fraction); },
          [&] { return progress.stopped(); }));
  return result;
}

}  // namespace tern
