#include "server/api/watch_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"

namespace tern {
namespace {

constexpr int32_t kEventsPerRead = 64;
// Nothing tells of a job that no worker takes, or of a worker that is missed.
constexpr absl::Duration kLookAgainInterval = absl::Seconds(2);

}  // namespace

absl::StatusOr<StreamStep> WatchSource::Pull(v1::WatchQuantizationJobResponse& response,
                                             const std::function<void()>& wake) {
  if (job_uid_.empty()) return Start(response);
  if (events_.empty() && !ended_) {
    change_ = jobs_.job_signal().Once(job_uid_, wake);
    TERN_RETURN_IF_ERROR(ReadMore());
  }
  if (!events_.empty()) return SendEvent(response);
  if (ended_) return StreamStep::End();
  return SendProgressOrWait(response, wake);
}

absl::StatusOr<StreamStep> WatchSource::Start(v1::WatchQuantizationJobResponse& response) {
  TERN_ASSIGN_OR_RETURN(auto snapshot, jobs_.operations().GetSnapshot(request_.name()));
  if (request_.after_sequence() > snapshot.sequence) {
    return InvalidField("after_sequence",
                        absl::StrCat(request_.after_sequence(), " is past the job's last event, ",
                                     snapshot.sequence, ": is this another job of that name?"));
  }
  job_uid_ = std::move(snapshot.uid);
  read_through_ = request_.after_sequence();
  // Before the snapshot is sent, so that a watch that cannot resume fails as a whole.
  TERN_RETURN_IF_ERROR(ReadMore());
  *response.mutable_snapshot() = std::move(snapshot.job);
  response.set_sequence(snapshot.sequence);
  return StreamStep::Send();
}

absl::Status WatchSource::ReadMore() {
  TERN_ASSIGN_OR_RETURN(EventPage page,
                        ReadEvents(jobs_.context(), job_uid_, read_through_, kEventsPerRead));
  for (NumberedEvent& event : page.events) {
    read_through_ = event.sequence;
    events_.push_back(std::move(event));
  }
  ended_ = page.ended;
  return absl::OkStatus();
}

StreamStep WatchSource::SendEvent(v1::WatchQuantizationJobResponse& response) {
  response.set_sequence(events_.front().sequence);
  *response.mutable_event() = std::move(events_.front().event);
  events_.pop_front();
  return StreamStep::Send();
}

absl::StatusOr<StreamStep> WatchSource::SendProgressOrWait(
    v1::WatchQuantizationJobResponse& response, const std::function<void()>& wake) {
  const absl::Time now = absl::Now();
  if (now < next_progress_) return StreamStep::Wait(next_progress_);
  progress_change_ = jobs_.job_signal().Once(ProgressKey(job_uid_), wake);
  TERN_ASSIGN_OR_RETURN(v1::Progress progress, jobs_.operations().GetProgress(request_.name()));
  std::string serialized = progress.SerializeAsString();
  if (serialized == last_progress_) return StreamStep::Wait(now + kLookAgainInterval);
  last_progress_ = std::move(serialized);
  next_progress_ = now + kProgressInterval;
  *response.mutable_progress() = std::move(progress);
  return StreamStep::Send();
}

}  // namespace tern
