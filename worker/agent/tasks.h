#ifndef TERN_WORKER_AGENT_TASKS_H_
#define TERN_WORKER_AGENT_TASKS_H_

#include <string>

#include "absl/status/statusor.h"
#include "tern/worker/v1/worker_service.pb.h"
#include "worker/agent/blob_client.h"
#include "worker/agent/block_ahead.h"
#include "worker/agent/job_inputs.h"
#include "worker/agent/kept_sensitivity.h"
#include "worker/agent/task_progress.h"
#include "worker/agent/weights_ahead.h"
#include "worker/agent/worker_metrics.h"
#include "worker/backend/backend.h"

namespace tern {

// What all tasks work with.
struct TaskTools {
  Backend& backend;
  BlobClient& blobs;
  JobInputs& inputs;
  BlockAhead& ahead;
  WeightsAhead& weights;
  KeptSensitivity& kept_sensitivity;
  WorkerMetrics& metrics;
  int threads;
  std::string worker_id;
};

// One function for each kind of task. Their results depend on the task and the job's inputs alone.
// Wall-clock seconds by stage are in the result. CANCELLED when `progress` was stopped,
// INVALID_ARGUMENT and DATA_LOSS for what is wrong with model or committed files,
// FAILED_PRECONDITION when the model is not the one that was scanned, UNAVAILABLE for transfers
// that failed.

absl::StatusOr<tern::worker::v1::TaskResult> RunScan(TaskTools& tools,
                                                     const tern::worker::v1::Task& task,
                                                     TaskProgress& progress);

// Finds the rotations of one block's layers, from their weights alone.
absl::StatusOr<tern::worker::v1::TaskResult> RunRotate(TaskTools& tools,
                                                       const tern::worker::v1::Task& task,
                                                       TaskProgress& progress);

// Takes the block from what was computed ahead, or makes the shard's calibration state by running
// the blocks before and computes it. While the block is uploaded the shard's next one is computed
// ahead. The block's bits are the same either way.
absl::StatusOr<tern::worker::v1::TaskResult> RunQuantize(TaskTools& tools,
                                                         const tern::worker::v1::Task& task,
                                                         TaskProgress& progress);

// Goes on from what the task before has left, where that is of the same job. The losses do not
// depend on it.
absl::StatusOr<tern::worker::v1::TaskResult> RunSensitivity(TaskTools& tools,
                                                            const tern::worker::v1::Task& task,
                                                            TaskProgress& progress);

absl::StatusOr<tern::worker::v1::TaskResult> RunAssemble(TaskTools& tools,
                                                         const tern::worker::v1::Task& task,
                                                         TaskProgress& progress);

absl::StatusOr<tern::worker::v1::TaskResult> RunEvaluate(TaskTools& tools,
                                                         const tern::worker::v1::Task& task,
                                                         TaskProgress& progress);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_TASKS_H_
