#include "server/jobs/task_choice.h"

#include <algorithm>
#include <utility>

#include "checkpoint/status_macros.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

constexpr int32_t kPage = 32;
// How far to look past blocks that are kept for other workers.
constexpr int32_t kMostPages = 8;

absl::StatusOr<std::optional<TaskRecord>> ChooseWarm(StoreReader& reader, const WorkerInfo& worker,
                                                     absl::Time now) {
  const WorkerRoom room = RoomOf(worker);
  std::optional<TaskRecord> chosen;
  for (const WarmState& state : worker.warm) {
    TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> task,
                          reader.GetTask(state.job_uid, QuantizeTask(state.next_block)));
    const bool fits = task.has_value() && task->state == TaskState::kReady &&
                      task->shard == state.shard && task->ready_time <= now && Fits(*task, room);
    if (fits && (!chosen.has_value() || task->job_number < chosen->job_number)) {
      chosen = std::move(task);
    }
  }
  return chosen;
}

}  // namespace

absl::StatusOr<TaskChoice> ChooseTask(StoreReader& reader, const WorkerRegistry& workers,
                                      const WorkerInfo& worker, absl::Duration affinity_grace,
                                      absl::Time now) {
  TaskChoice choice;
  TERN_ASSIGN_OR_RETURN(choice.task, ChooseWarm(reader, worker, now));
  if (choice.task.has_value()) return choice;

  std::optional<TaskRecord> last_resort;
  ReadyPosition position;
  for (int32_t page = 0; page < kMostPages; ++page) {
    TERN_ASSIGN_OR_RETURN(std::vector<TaskRecord> ready,
                          reader.ListReadyTasks(position, RoomOf(worker), kPage));
    for (TaskRecord& task : ready) {
      position = {task.job_number, task.rank};
      if (task.ready_time > now) {
        choice.retry_at = std::min(choice.retry_at, task.ready_time);
        continue;
      }
      const bool kept = task.kind == TaskKind::kQuantize &&
                        workers.HeldByAnother({task.job_uid, task.shard, task.index}, worker.id);
      if (!kept) {
        choice.task = std::move(task);
        return choice;
      }
      const absl::Time free_at = task.ready_time + affinity_grace;
      if (free_at > now) {
        choice.retry_at = std::min(choice.retry_at, free_at);
      } else if (!last_resort.has_value()) {
        last_resort = std::move(task);
      }
    }
    if (static_cast<int32_t>(ready.size()) < kPage) break;
  }
  choice.task = std::move(last_resort);
  return choice;
}

}  // namespace tern
