#include "server/jobs/task_message.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/activation_choice.h"
#include "server/jobs/job_view.h"
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
                            const v1::QuantizationJob& document, const TaskRecord& task,
                            worker::v1::MeasureSensitivity& message) {
  const v1::MixedActivations& options = document.spec().twla().mixed_activations();
  const int32_t baseline = *options.candidates().rbegin();
  StoredActivations activations(reader, job);
  message.set_block(task.index);
  message.set_measure_baseline(MeasuresBaseline(task));
  for (int32_t each = 0; each < document.model().blocks(); ++each) {
    TERN_ASSIGN_OR_RETURN(*message.add_baseline(), activations.At(each, baseline));
  }
  for (const BitsProbe& bits : ProbesOf(options, task)) {
    worker::v1::MeasureSensitivity::Probe& probe = *message.add_probes();
    TERN_ASSIGN_OR_RETURN(*probe.mutable_own(), activations.At(task.index, bits.bits));
    if (bits.previous_bits == 0) continue;
    TERN_ASSIGN_OR_RETURN(*probe.mutable_previous(),
                          activations.At(task.index - 1, bits.previous_bits));
  }
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
    case TaskKind::kInteraction:
      return SetSensitivity(reader, job, document, task, *message.mutable_sensitivity());
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
