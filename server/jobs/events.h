#ifndef TERN_SERVER_JOBS_EVENTS_H_
#define TERN_SERVER_JOBS_EVENTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/jobs/jobs_context.h"
#include "server/store/store.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// Numbers `event` as the next of `job`, stamps it with `now` and stores it; drops the oldest once
// well over `keep` are kept. The caller updates `job` in the same transaction.
absl::Status AppendEvent(Transaction& transaction, JobRecord& job, v1::JobEvent event,
                         absl::Time now, int64_t keep);

struct NumberedEvent {
  int64_t sequence = 0;
  v1::JobEvent event;
};

struct EventPage {
  std::vector<NumberedEvent> events;
  // The job is terminal and `events` reaches its last event: nothing will follow.
  bool ended = false;
};

// At most `limit` events of the job with a greater sequence than `after_sequence`. OUT_OF_RANGE
// (EVENTS_DROPPED, metadata "oldest_sequence") when some of them are no longer kept;
// INVALID_ARGUMENT at "after_sequence" when it is negative; NOT_FOUND when the job is deleted.
// Thread-safe.
absl::StatusOr<EventPage> ReadEvents(const JobsContext& context, absl::string_view job_uid,
                                     int64_t after_sequence, int32_t limit);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_EVENTS_H_
