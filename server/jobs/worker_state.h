#ifndef TERN_SERVER_JOBS_WORKER_STATE_H_
#define TERN_SERVER_JOBS_WORKER_STATE_H_

#include "server/jobs/worker_registry.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// A worker's state as the API and the metrics tell it.
inline v1::Worker::State StateOf(const WorkerInfo& worker) {
  if (worker.lost) return v1::Worker::LOST;
  if (worker.draining) return v1::Worker::DRAINING;
  return worker.activity.has_value() ? v1::Worker::BUSY : v1::Worker::IDLE;
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_WORKER_STATE_H_
