#include "server/jobs/task_message.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/job_view.h"
#include "server/jobs/task_names.h"
#include "server/jobs/timestamps.h"

namespace tern {

absl::StatusOr<worker::v1::Task> TaskMessage(const JobRecord& job, const TaskRecord& task) {
  TERN_ASSIGN_OR_RETURN(v1::QuantizationJob document, ReadDocument(job));
  worker::v1::Task message;
  message.mutable_lease()->set_task(absl::StrCat(task.job_uid, "/", task.name));
  message.mutable_lease()->set_epoch(task.epoch);
  message.set_job_uid(task.job_uid);
  *message.mutable_spec() = std::move(*document.mutable_spec());
  *message.mutable_deadline() = ToTimestamp(task.lease_deadline);
  // Set by the scan, which comes before all other tasks.
  message.set_model_digest(document.model().digest());
  switch (task.kind) {
    case TaskKind::kScan:
      message.mutable_scan();
      break;
    case TaskKind::kQuantize:
      message.mutable_quantize()->set_block(task.index);
      message.mutable_quantize()->set_shard(task.shard);
      message.mutable_quantize()->set_shard_first_block(task.shard_first_block);
      message.mutable_quantize()->set_shard_goes_on(
          std::find(task.dependents.begin(), task.dependents.end(), QuantizeTask(task.index + 1)) !=
          task.dependents.end());
      break;
    case TaskKind::kAssemble:
      message.mutable_assemble();
      break;
    case TaskKind::kEvaluate:
      message.mutable_evaluate()->set_part(task.index);
      message.mutable_evaluate()->set_first_window(task.first_window);
      message.mutable_evaluate()->set_windows(task.windows);
      break;
  }
  return message;
}

}  // namespace tern
