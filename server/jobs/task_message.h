#ifndef TERN_SERVER_JOBS_TASK_MESSAGE_H_
#define TERN_SERVER_JOBS_TASK_MESSAGE_H_

#include "absl/status/statusor.h"
#include "server/store/store.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// What a worker is told of a task it holds. DATA_LOSS when what it follows from (the job's
// document, results of earlier tasks) is not there.
absl::StatusOr<worker::v1::Task> TaskMessage(StoreReader& reader, const JobRecord& job,
                                             const TaskRecord& task);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_TASK_MESSAGE_H_
