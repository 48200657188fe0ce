#include "worker/agent/task_runner.h"

namespace tern {

const char* TaskKind(const tern::worker::v1::Task& task) {
  using tern::worker::v1::Task;
  switch (task.work_case()) {
    case Task::kScan:
      return "scan";
    case Task::kQuantize:
      return "quantize";
    case Task::kRotate:
      return "rotate";
    case Task::kSensitivity:
      return "sensitivity";
    case Task::kAssemble:
      return "assemble";
    case Task::kEvaluate:
      return "evaluate";
    case Task::WORK_NOT_SET:
      break;
  }
  return "unknown";
}

}  // namespace tern
