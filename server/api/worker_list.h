#ifndef TERN_SERVER_API_WORKER_LIST_H_
#define TERN_SERVER_API_WORKER_LIST_H_

#include "server/jobs/worker_registry.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// As ListWorkers answers.
v1::Worker ToProto(const WorkerInfo& worker);

}  // namespace tern

#endif  // TERN_SERVER_API_WORKER_LIST_H_
