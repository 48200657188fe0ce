#ifndef TERN_SERVER_API_WATCH_SOURCE_H_
#define TERN_SERVER_API_WATCH_SOURCE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "server/api/stream_source.h"
#include "server/jobs/change_signal.h"
#include "server/jobs/events.h"
#include "server/jobs/job_system.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// What WatchQuantizationJob sends: a snapshot, the events as they happen, and in between, at most
// once a second, how far the job is.
class WatchSource : public StreamSource<v1::WatchQuantizationJobResponse> {
 public:
  static constexpr absl::Duration kProgressInterval = absl::Seconds(1);

  // `jobs` outlives the source.
  WatchSource(JobSystem& jobs, const v1::WatchQuantizationJobRequest& request)
      : jobs_(jobs), request_(request) {}

  absl::StatusOr<StreamStep> Pull(v1::WatchQuantizationJobResponse& response,
                                  const std::function<void()>& wake) override;

 private:
  absl::StatusOr<StreamStep> Start(v1::WatchQuantizationJobResponse& response);
  // Reads on in the events; sets ended_.
  absl::Status ReadMore();
  StreamStep SendEvent(v1::WatchQuantizationJobResponse& response);
  absl::StatusOr<StreamStep> SendProgressOrWait(v1::WatchQuantizationJobResponse& response,
                                                const std::function<void()>& wake);

  JobSystem& jobs_;
  const v1::WatchQuantizationJobRequest request_;
  std::string job_uid_;  // empty before the first Pull
  int64_t read_through_ = 0;
  std::deque<NumberedEvent> events_;  // read, not sent
  bool ended_ = false;                // events_ holds the last there will be
  std::string last_progress_;         // serialized
  absl::Time next_progress_ = absl::InfinitePast();
  ChangeSignal::Registration change_;
  ChangeSignal::Registration progress_change_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_WATCH_SOURCE_H_
