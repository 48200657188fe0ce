#include "server/jobs/activation_stage.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/activation_choice.h"
#include "server/jobs/events.h"
#include "server/jobs/job_view.h"
#include "server/jobs/method_recipe.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

using worker::v1::SensitivityResult;

bool Measures(const TaskRecord& task) {
  return task.kind == TaskKind::kSensitivity || task.kind == TaskKind::kInteraction;
}

absl::StatusOr<std::vector<SensitivityResult>> ResultsOf(const JobRecord& job,
                                                         const std::vector<TaskRecord>& tasks) {
  std::vector<SensitivityResult> measured;
  for (const TaskRecord& task : tasks) {
    if (!Measures(task)) continue;
    worker::v1::TaskResult result;
    if (!result.ParseFromString(task.result) || !result.has_sensitivity()) {
      return absl::DataLossError(
          absl::StrCat(NameOf(job), ": no result of ", task.name, " is stored"));
    }
    measured.push_back(std::move(*result.mutable_sensitivity()));
  }
  return measured;
}

// Of one interaction with the block before: a stream through the same blocks as each of the
// block's sensitivities.
double InteractionCost(const v1::MixedActivations& options, const TaskRecord& sensitivity) {
  return sensitivity.cost / static_cast<double>(ProbesOf(options, sensitivity).size());
}

// Whether `unmeasured` has nothing that one of the job's tasks was to measure already: rounds end.
absl::Status CheckAskedOnce(const std::vector<TaskRecord>& tasks,
                            const std::map<int32_t, std::vector<BitsProbe>>& unmeasured) {
  for (const TaskRecord& task : tasks) {
    const auto of_block = unmeasured.find(task.index);
    if (task.kind != TaskKind::kInteraction || of_block == unmeasured.end()) continue;
    const std::vector<BitsProbe>& asked = of_block->second;
    if (std::find_first_of(asked.begin(), asked.end(), task.probes.begin(), task.probes.end()) !=
        asked.end()) {
      return absl::DataLossError(absl::StrCat(task.job_uid, ": the stored result of ", task.name,
                                              " lacks what it was to measure"));
    }
  }
  return absl::OkStatus();
}

// The tasks that measure `unmeasured`; `tasks` are those the job has.
std::vector<TaskRecord> InteractionTasks(
    const v1::MixedActivations& options, const std::vector<TaskRecord>& tasks,
    const std::map<int32_t, std::vector<BitsProbe>>& unmeasured, absl::Time now) {
  std::map<int32_t, const TaskRecord*> sensitivities;
  std::map<int32_t, int32_t> rounds;
  for (const TaskRecord& task : tasks) {
    if (task.kind == TaskKind::kSensitivity) sensitivities[task.index] = &task;
    if (task.kind == TaskKind::kInteraction) ++rounds[task.index];
  }
  std::vector<TaskRecord> added;
  for (const auto& [block, probes] : unmeasured) {
    const TaskRecord& sensitivity = *sensitivities.at(block);
    TaskRecord& task = added.emplace_back();
    task.job_uid = sensitivity.job_uid;
    task.job_number = sensitivity.job_number;
    task.name = InteractionTask(block, rounds[block] + 1);
    task.kind = TaskKind::kInteraction;
    task.index = block;
    task.rank = static_cast<int32_t>(tasks.size() + added.size()) - 1;
    task.probes = probes;
    task.cost = InteractionCost(options, sensitivity) * static_cast<double>(task.probes.size());
    task.memory_bytes = sensitivity.memory_bytes;
    task.gpu_memory_bytes = sensitivity.gpu_memory_bytes;
    task.dependents = sensitivity.dependents;
    task.state = TaskState::kReady;
    task.ready_time = now;
  }
  return added;
}

absl::Status AddTasks(Transaction& transaction, const std::vector<TaskRecord>& added,
                      JobRecord& job) {
  for (const TaskRecord& task : added) TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
  for (const std::string& name : added.front().dependents) {
    TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> dependent, transaction.GetTask(job.uid, name));
    if (!dependent.has_value()) {
      return absl::DataLossError(absl::StrCat("task ", job.uid, "/", name, " is missing"));
    }
    dependent->waiting_for += static_cast<int32_t>(added.size());
    TERN_RETURN_IF_ERROR(transaction.UpdateTask(*dependent));
  }
  job.tasks_total += static_cast<int32_t>(added.size());
  return absl::OkStatus();
}

double CostOf(const std::vector<TaskRecord>& tasks) {
  double cost = 0;
  for (const TaskRecord& task : tasks) cost += task.cost;
  return cost;
}

absl::Status KeepChoice(const JobsContext& context, Transaction& transaction,
                        v1::ActivationBits bits, v1::QuantizationJob document, JobRecord& job,
                        absl::Time now) {
  *document.mutable_activation_bits() = bits;
  job.document = document.SerializeAsString();
  v1::JobEvent event;
  *event.mutable_activation_bits_chosen()->mutable_activation_bits() = std::move(bits);
  return AppendEvent(transaction, job, std::move(event), now, context.options.events_kept);
}

}  // namespace

absl::Status ContinueActivationChoice(const JobsContext& context, Transaction& transaction,
                                      JobRecord& job, const TaskRecord& finished, absl::Time now,
                                      AfterCommit& after) {
  if (!Measures(finished)) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(const std::optional<TaskRecord> assemble,
                        transaction.GetTask(job.uid, kAssembleTask));
  // It waits for nothing but measurements; `finished` is still among them.
  if (!assemble.has_value() || assemble->waiting_for > 1) return absl::OkStatus();

  TERN_ASSIGN_OR_RETURN(v1::QuantizationJob document, ReadDocument(job));
  const v1::MixedActivations& options = document.spec().twla().mixed_activations();
  TERN_ASSIGN_OR_RETURN(const std::vector<TaskRecord> tasks, transaction.ListTasks(job.uid));
  TERN_ASSIGN_OR_RETURN(const std::vector<SensitivityResult> measured, ResultsOf(job, tasks));
  TERN_ASSIGN_OR_RETURN(ActivationChoice choice,
                        ChooseActivationBits(options, document.model().blocks(), measured));
  TERN_RETURN_IF_ERROR(CheckAskedOnce(tasks, choice.unmeasured));
  const std::vector<TaskRecord> added = InteractionTasks(options, tasks, choice.unmeasured, now);
  job.cost_total = CostOf(tasks) + CostOf(added);
  if (added.empty()) {
    return KeepChoice(context, transaction, std::move(choice.bits), std::move(document), job, now);
  }
  after.NotifyWork();
  return AddTasks(transaction, added, job);
}

double ExpectedInteractionsCost(const v1::QuantizationSpec& spec,
                                const std::vector<TaskRecord>& tasks) {
  const v1::MixedActivations& options = spec.twla().mixed_activations();
  if (RecipeOf(spec).all_interactions || options.beta() == 0) return 0;
  double cost = 0;
  // One for every two neighbours: the first guess is often right.
  for (const TaskRecord& task : tasks) {
    if (task.kind == TaskKind::kSensitivity && task.index > 0) {
      cost += InteractionCost(options, task);
    }
  }
  return cost;
}

}  // namespace tern
