#include "server/api/worker_list.h"

#include <google/protobuf/util/time_util.h>

#include "server/jobs/worker_state.h"

namespace tern {

v1::Worker ToProto(const WorkerInfo& worker) {
  v1::Worker proto;
  proto.set_id(worker.id);
  proto.set_host(worker.host);
  proto.set_device(worker.device);
  proto.set_memory_bytes(worker.memory_bytes);
  proto.set_version(worker.version);
  proto.set_state(StateOf(worker));
  if (worker.activity.has_value()) {
    proto.set_job(worker.activity->job_name);
    proto.set_task(worker.activity->task);
  }
  *proto.mutable_last_seen() =
      google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(worker.last_seen));
  proto.set_resident_bytes(worker.resident_bytes);
  return proto;
}

}  // namespace tern
