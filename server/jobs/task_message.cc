#include "server/jobs/task_message.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/job_view.h"
#include "server/jobs/method_recipe.h"
#include "server/jobs/stored_activations.h"
#include "server/jobs/task_names.h"
#include "server/jobs/timestamps.h"

namespace tern {
namespace {

void Move(std::vector<worker::v1::BlockActivations> from,
          google::protobuf::RepeatedPtrField<worker::v1::BlockActivations>& to) {
  to.Assign(std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void SetQuantize(const TaskRecord& task, worker::v1::QuantizeBlock& message) {
  message.set_block(task.index);
  message.set_shard(task.shard);
  message.set_shard_first_block(task.shard_first_block);
  message.set_shard_goes_on(std::find(task.dependents.begin(), task.dependents.end(),
                                      QuantizeTask(task.index + 1)) != task.dependents.end());
}

absl::Status SetSensitivity(StoreReader& reader, const JobRecord& job,
                            const v1::QuantizationJob& document, int32_t block,
                            worker::v1::MeasureSensitivity& message) {
  // The last candidate is the baseline.
  std::vector<int32_t> probed = RecipeOf(document.spec()).activation_bits;
  const int32_t baseline = probed.back();
  probed.pop_back();
  StoredActivations activations(reader, job);
  message.set_block(block);
  message.set_measure_baseline(block == 0);
  for (int32_t each = 0; each < document.model().blocks(); ++each) {
    TERN_ASSIGN_OR_RETURN(std::vector<worker::v1::BlockActivations> one,
                          activations.At(each, {baseline}));
    *message.add_baseline() = std::move(one.front());
  }
  TERN_ASSIGN_OR_RETURN(std::vector<worker::v1::BlockActivations> own,
                        activations.At(block, probed));
  Move(std::move(own), *message.mutable_candidates());
  if (block == 0) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(std::vector<worker::v1::BlockActivations> previous,
                        activations.At(block - 1, probed));
  Move(std::move(previous), *message.mutable_previous());
  return absl::OkStatus();
}

absl::Status SetWork(StoreReader& reader, const JobRecord& job, const v1::QuantizationJob& document,
                     const TaskRecord& task, worker::v1::Task& message) {
  std::vector<worker::v1::BlockActivations> activations;
  if (task.kind == TaskKind::kAssemble || task.kind == TaskKind::kEvaluate) {
    TERN_ASSIGN_OR_RETURN(activations, StoredActivations(reader, job).Chosen(document));
  }
  switch (task.kind) {
    case TaskKind::kScan:
      message.mutable_scan();
      break;
    case TaskKind::kRotate:
      message.mutable_rotate()->set_block(task.index);
      break;
    case TaskKind::kQuantize:
      SetQuantize(task, *message.mutable_quantize());
      break;
    case TaskKind::kSensitivity:
      return SetSensitivity(reader, job, document, task.index, *message.mutable_sensitivity());
    case TaskKind::kAssemble:
      Move(std::move(activations), *message.mutable_assemble()->mutable_activations());
      break;
    case TaskKind::kEvaluate:
      message.mutable_evaluate()->set_part(task.index);
      message.mutable_evaluate()->set_first_window(task.first_window);
      message.mutable_evaluate()->set_windows(task.windows);
      Move(std::move(activations), *message.mutable_evaluate()->mutable_activations());
      break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<worker::v1::Task> TaskMessage(StoreReader& reader, const JobRecord& job,
                                             const TaskRecord& task) {
  TERN_ASSIGN_OR_RETURN(v1::QuantizationJob document, ReadDocument(job));
  worker::v1::Task message;
  message.mutable_lease()->set_task(absl::StrCat(task.job_uid, "/", task.name));
  message.mutable_lease()->set_epoch(task.epoch);
  message.set_job_uid(task.job_uid);
  *message.mutable_deadline() = ToTimestamp(task.lease_deadline);
  // Set by the scan, which comes before all other tasks.
  message.set_model_digest(document.model().digest());
  TERN_RETURN_IF_ERROR(SetWork(reader, job, document, task, message));
  *message.mutable_spec() = std::move(*document.mutable_spec());
  return message;
}

}  // namespace tern
