#include "server/jobs/worker_shortage.h"

#include <algorithm>
#include <utility>

#include "checkpoint/status_macros.h"

namespace tern {
namespace {

// The most room there is on CPUs and on GPUs; 0 without such workers.
struct LargestRooms {
  int32_t workers = 0;
  WorkerRoom cpu = {.on_gpu = false, .memory_bytes = 0};
  WorkerRoom gpu = {.on_gpu = true, .memory_bytes = 0};
};

LargestRooms RoomsOf(const std::vector<WorkerInfo>& workers) {
  LargestRooms rooms;
  for (const WorkerInfo& worker : workers) {
    if (worker.lost || worker.draining) continue;
    ++rooms.workers;
    const WorkerRoom room = RoomOf(worker);
    int64_t& largest = room.on_gpu ? rooms.gpu.memory_bytes : rooms.cpu.memory_bytes;
    largest = std::max(largest, room.memory_bytes);
  }
  return rooms;
}

// The job's first ready task that `room` suffices for.
absl::StatusOr<std::optional<TaskRecord>> FirstReady(StoreReader& reader, const JobRecord& job,
                                                     const WorkerRoom& room) {
  const ReadyPosition before_the_job = {.job_number = job.number, .rank = -1};
  TERN_ASSIGN_OR_RETURN(std::vector<TaskRecord> tasks,
                        reader.ListReadyTasks(before_the_job, room, 1));
  if (tasks.empty() || tasks.front().job_uid != job.uid) return std::nullopt;
  return std::move(tasks.front());
}

}  // namespace

absl::StatusOr<std::optional<v1::WorkerShortage>> FindShortage(
    StoreReader& reader, const JobRecord& job, const std::vector<WorkerInfo>& workers) {
  const LargestRooms rooms = RoomsOf(workers);
  v1::WorkerShortage shortage;
  shortage.set_workers(rooms.workers);
  // A task that a lost worker still holds is not ready, but will be.
  if (rooms.workers == 0) {
    if (job.tasks_done < job.tasks_total) return shortage;
    return std::nullopt;
  }
  TERN_ASSIGN_OR_RETURN(const std::optional<TaskRecord> next,
                        FirstReady(reader, job, WorkerRoom()));
  if (!next.has_value()) return std::nullopt;
  for (const WorkerRoom& room : {rooms.cpu, rooms.gpu}) {
    if (room.memory_bytes == 0) continue;
    TERN_ASSIGN_OR_RETURN(const std::optional<TaskRecord> fitting, FirstReady(reader, job, room));
    if (fitting.has_value()) return std::nullopt;
  }
  shortage.set_task(next->name);
  shortage.set_memory_bytes(next->memory_bytes);
  shortage.set_gpu_memory_bytes(next->gpu_memory_bytes);
  shortage.set_largest_memory_bytes(rooms.cpu.memory_bytes);
  shortage.set_largest_gpu_memory_bytes(rooms.gpu.memory_bytes);
  return shortage;
}

}  // namespace tern
