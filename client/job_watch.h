#ifndef TERN_CLIENT_JOB_WATCH_H_
#define TERN_CLIENT_JOB_WATCH_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cancellation.h"
#include "client/service_client.h"

namespace tern {

// SUCCEEDED, FAILED, CANCELLED.
bool IsTerminal(v1::QuantizationJob::State state);

// Called in the thread that watches.
class WatchListener {
 public:
  virtual ~WatchListener() = default;
  // Every event once and in order, snapshots and progress as they come.
  virtual void OnWatchMessage(const v1::WatchQuantizationJobResponse& message) = 0;
  virtual void OnWatchInterrupted(const absl::Status& why, absl::Duration retry_in) = 0;
};

// Watches the job from the event after `after_sequence` until it is in a terminal state. A
// connection that breaks is opened again after the last event seen, for as long as
// `give_up_after`. Where the server has dropped events the watch goes on with the oldest left.
// CANCELLED after `cancellation`.
absl::Status WatchJob(ServiceClient* client, const std::string& job, int64_t after_sequence,
                      absl::Duration give_up_after, Cancellation* cancellation,
                      WatchListener* listener);

}  // namespace tern

#endif  // TERN_CLIENT_JOB_WATCH_H_
