#include "server/jobs/task_completion.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "proto/service/job_inputs.h"
#include "server/jobs/activation_choice.h"
#include "server/jobs/activation_stage.h"
#include "server/jobs/events.h"
#include "server/jobs/file_commit.h"
#include "server/jobs/job_view.h"
#include "server/jobs/leases.h"
#include "server/jobs/method_recipe.h"
#include "server/jobs/progress.h"
#include "server/jobs/stored_activations.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

using worker::v1::TaskResult;

std::vector<std::string> FilesMadeBy(const TaskRecord& task) {
  switch (task.kind) {
    case TaskKind::kQuantize:
      return {BlockFileName(task.index)};
    case TaskKind::kRotate:
      return {RotationsFile(task.index)};
    case TaskKind::kAssemble:
      return {kConfigFile, kIndexFile, kUnquantizedFile};
    case TaskKind::kScan:
    case TaskKind::kSensitivity:
    case TaskKind::kInteraction:
    case TaskKind::kEvaluate:
      return {};
  }
  return {};
}

absl::Status CheckKind(const TaskRecord& task, const TaskResult& result) {
  bool fits = false;
  switch (task.kind) {
    case TaskKind::kScan:
      fits = result.has_scan() && !result.scan().digest().empty();
      break;
    case TaskKind::kQuantize:
      fits = result.has_block() && result.block().block() == task.index;
      break;
    case TaskKind::kRotate:
      fits = result.has_rotate() && result.rotate().block() == task.index;
      break;
    case TaskKind::kSensitivity:
    case TaskKind::kInteraction:
      fits = result.has_sensitivity();
      break;
    case TaskKind::kAssemble:
      fits = result.has_assemble() && !result.assemble().digest().empty();
      break;
    case TaskKind::kEvaluate:
      fits = result.has_evaluate() && result.evaluate().tokens() > 0;
      break;
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the worker's result is not that of task ", task.name));
}

absl::Status CheckRotations(const worker::v1::RotateResult& result) {
  std::set<std::string> rotated;
  for (const v1::LayerRotation& layer : result.layers()) {
    if (layer.n1() <= 0 || layer.n2() <= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the worker's rotation of ", layer.layer(), " has no size"));
    }
    rotated.insert(layer.layer());
  }
  for (const LinearKind kind : LinearKinds()) {
    const std::string name = LinearName(result.block(), kind);
    if (!rotated.contains(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the worker's result lacks the rotation of ", name));
    }
  }
  return absl::OkStatus();
}

// What the method asks of a result besides its kind.
absl::Status CheckMethodsPart(const JobRecord& job, const TaskRecord& task,
                              const TaskResult& result) {
  if (result.has_rotate()) return CheckRotations(result.rotate());
  if (!result.has_block() && !result.has_sensitivity()) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(const v1::QuantizationJob document, ReadDocument(job));
  if (result.has_block()) return CheckClipRatios(RecipeOf(document.spec()), result.block());
  return CheckSensitivity(document.spec().twla().mixed_activations(), task, result.sensitivity());
}

// Moves the files the result names from the lease to the checkpoint, or rotations to what the job
// keeps for its other tasks; drops the others.
absl::Status CommitFiles(const JobsContext& context, Transaction& transaction, JobRecord& job,
                         const TaskRecord& task, const TaskResult& result, absl::Time now,
                         AfterCommit& after) {
  TERN_ASSIGN_OR_RETURN(const std::vector<StagedFileRecord> staged,
                        transaction.ListStagedFiles(task.job_uid, task.name));
  const std::set<std::string> named(result.files().begin(), result.files().end());
  for (const StagedFileRecord& file : staged) {
    if (!named.contains(file.path)) {
      after.DeleteBlob(file.blob_key);
      continue;
    }
    const FileRecord record = {.job_uid = job.uid,
                               .path = file.path,
                               .blob_key = file.blob_key,
                               .size = file.size,
                               .sha256 = file.sha256};
    TERN_RETURN_IF_ERROR(task.kind == TaskKind::kRotate
                             ? transaction.InsertFile(record)
                             : CommitFile(context, transaction, job, record, now));
  }
  return transaction.DeleteStagedFiles(task.job_uid, task.name);
}

absl::Status ReadyDependents(Transaction& transaction, const TaskRecord& task, absl::Time now,
                             AfterCommit& after) {
  for (const std::string& name : task.dependents) {
    TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> dependent,
                          transaction.GetTask(task.job_uid, name));
    if (!dependent.has_value()) {
      return absl::DataLossError(absl::StrCat("task ", task.job_uid, "/", name, " is missing"));
    }
    if (--dependent->waiting_for == 0) {
      dependent->state = TaskState::kReady;
      dependent->ready_time = now;
      after.NotifyWork();
    }
    TERN_RETURN_IF_ERROR(transaction.UpdateTask(*dependent));
  }
  return absl::OkStatus();
}

v1::JobEvent FinishedEvent(const JobRecord& job, const TaskRecord& task, const TaskResult& result,
                           absl::Time now) {
  v1::JobEvent event;
  v1::Progress progress = ComputeProgress(job, /*active=*/{}, now);
  if (result.has_block()) {
    *event.mutable_block_finished()->mutable_metrics() = result.block();
    *event.mutable_block_finished()->mutable_progress() = std::move(progress);
    return event;
  }
  auto& finished = *event.mutable_task_finished();
  finished.set_task(task.name);
  *finished.mutable_seconds() = result.seconds();
  *finished.mutable_progress() = std::move(progress);
  return event;
}

// The digest that the scan found becomes part of what the job says of its model.
absl::Status KeepModelDigest(const TaskResult& result, JobRecord& job) {
  if (!result.has_scan()) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(v1::QuantizationJob document, ReadDocument(job));
  document.mutable_model()->set_digest(result.scan().digest());
  job.document = document.SerializeAsString();
  return absl::OkStatus();
}

// A block's metrics tell of its rotations what the task that made them found.
absl::Status AddRotations(StoreReader& reader, const TaskRecord& task, v1::BlockMetrics& block) {
  TERN_ASSIGN_OR_RETURN(const std::optional<TaskRecord> rotate,
                        reader.GetTask(task.job_uid, RotateTask(task.index)));
  if (!rotate.has_value()) return absl::OkStatus();
  TaskResult result;
  if (!result.ParseFromString(rotate->result)) {
    return absl::DataLossError(
        absl::StrCat(task.job_uid, ": the stored result of ", rotate->name, " does not parse"));
  }
  for (v1::LayerMetrics& layer : *block.mutable_layers()) {
    for (const v1::LayerRotation& rotation : result.rotate().layers()) {
      if (rotation.layer() == layer.layer()) *layer.mutable_rotation() = rotation;
    }
  }
  return absl::OkStatus();
}

void ObserveCompletion(const JobRecord& job, const TaskRecord& task, const TaskResult& result,
                       AfterCommit& after) {
  after.Observe([lease = Observed(job, task), kind = task.kind, result](JobsObserver& observer) {
    observer.TaskAttempt(lease, TaskKindName(kind), "succeeded");
    if (result.has_block()) observer.BlockFinished(lease.job, result.block());
  });
}

}  // namespace

absl::Status CheckResult(StoreReader& reader, const JobRecord& job, const TaskRecord& task,
                         const TaskResult& result) {
  TERN_RETURN_IF_ERROR(CheckKind(task, result));
  TERN_RETURN_IF_ERROR(CheckMethodsPart(job, task, result));
  TERN_ASSIGN_OR_RETURN(const std::vector<StagedFileRecord> staged,
                        reader.ListStagedFiles(task.job_uid, task.name));
  std::set<std::string> uploaded;
  for (const StagedFileRecord& file : staged) {
    if (file.epoch == task.epoch) uploaded.insert(file.path);
  }
  for (const std::string& path : result.files()) {
    if (!uploaded.contains(path)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the worker's result names ", path, ", which it did not upload"));
    }
    TERN_ASSIGN_OR_RETURN(const std::optional<FileRecord> other,
                          reader.GetFile(task.job_uid, path));
    if (other.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " was already committed by another task"));
    }
  }
  const std::set<std::string> named(result.files().begin(), result.files().end());
  for (const std::string& path : FilesMadeBy(task)) {
    if (!named.contains(path)) {
      return absl::InvalidArgumentError(absl::StrCat("the worker's result lacks ", path));
    }
  }
  return absl::OkStatus();
}

absl::Status CompleteTask(const JobsContext& context, Transaction& transaction, JobRecord& job,
                          TaskRecord& task, TaskResult result, absl::Time now, AfterCommit& after) {
  if (result.has_block()) {
    v1::BlockMetrics& block = *result.mutable_block();
    block.set_shard(task.shard);
    block.set_worker(task.worker);
    block.set_attempt(1 + task.attempts + task.worker_deaths);
    if (result.seconds().empty()) *result.mutable_seconds() = block.seconds();
    TERN_RETURN_IF_ERROR(AddRotations(transaction, task, block));
    ++job.blocks_done;
  }
  ++job.tasks_done;
  job.cost_done += task.cost;
  TERN_RETURN_IF_ERROR(KeepModelDigest(result, job));
  TERN_RETURN_IF_ERROR(CommitFiles(context, transaction, job, task, result, now, after));
  TERN_RETURN_IF_ERROR(AppendEvent(transaction, job, FinishedEvent(job, task, result, now), now,
                                   context.options.events_kept));

  task.state = TaskState::kDone;
  task.lease_deadline = absl::InfinitePast();
  task.result = result.SerializeAsString();
  TERN_RETURN_IF_ERROR(transaction.UpdateTask(task));
  TERN_RETURN_IF_ERROR(ContinueActivationChoice(context, transaction, job, task, now, after));
  TERN_RETURN_IF_ERROR(ReadyDependents(transaction, task, now, after));

  if (job.tasks_done == job.tasks_total) after.FinishJob(job.uid);
  after.NotifyJob(job.uid);
  ObserveCompletion(job, task, result, after);
  return transaction.UpdateJob(job);
}

}  // namespace tern
