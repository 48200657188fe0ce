#ifndef TERN_SERVER_JOBS_TASK_CHOICE_H_
#define TERN_SERVER_JOBS_TASK_CHOICE_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/worker_registry.h"
#include "server/store/store.h"

namespace tern {

struct TaskChoice {
  std::optional<TaskRecord> task;
  // With no task: when one may become free without anything happening.
  absl::Time retry_at = absl::InfiniteFuture();
};

// The ready task a worker should get:
//  1. the next block of a shard whose calibration state it holds, of the oldest such job;
//  2. otherwise by job (oldest first) and rank (planner.h); but a block whose state another living
//     worker holds comes last of all, and not before it was ready for `affinity_grace`.
// Tasks that take more memory than the worker has, or that rest after a failure, are left alone.
absl::StatusOr<TaskChoice> ChooseTask(StoreReader& reader, const WorkerRegistry& workers,
                                      const WorkerInfo& worker, absl::Duration affinity_grace,
                                      absl::Time now);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TASK_CHOICE_H_
