#include "client/job_watch.h"

#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "client/error_text.h"
#include "client/reconnect.h"

namespace tern {
namespace {

using v1::QuantizationJob;
using v1::WatchQuantizationJobResponse;

bool SaysTerminal(const WatchQuantizationJobResponse& message) {
  if (message.has_snapshot()) return IsTerminal(message.snapshot().state());
  return message.has_event() && message.event().has_state_changed() &&
         IsTerminal(message.event().state_changed().state());
}

// The oldest event left, from the error that refused older ones.
std::optional<int64_t> OldestSequence(const absl::Status& status) {
  int64_t oldest = 0;
  if (!absl::IsOutOfRange(status) ||
      !absl::SimpleAtoi(ErrorMetadata(status)["oldest_sequence"], &oldest)) {
    return std::nullopt;
  }
  return oldest;
}

}  // namespace

bool IsTerminal(QuantizationJob::State state) {
  return state == QuantizationJob::SUCCEEDED || state == QuantizationJob::FAILED ||
         state == QuantizationJob::CANCELLED;
}

absl::Status WatchJob(ServiceClient* client, const std::string& job, int64_t after_sequence,
                      absl::Duration give_up_after, Cancellation* cancellation,
                      WatchListener* listener) {
  Reconnect reconnect(give_up_after);
  bool terminal = false;
  while (true) {
    v1::WatchQuantizationJobRequest request;
    request.set_name(job);
    request.set_after_sequence(after_sequence);
    absl::Status status =
        client->Watch(request, cancellation, [&](const WatchQuantizationJobResponse& message) {
          reconnect.Succeeded();
          if (message.has_event()) {
            if (message.sequence() <= after_sequence) return absl::OkStatus();
            after_sequence = message.sequence();
          }
          terminal = terminal || SaysTerminal(message);
          listener->OnWatchMessage(message);
          return absl::OkStatus();
        });
    if (cancellation->cancelled()) return absl::CancelledError("the watch was stopped");
    if (status.ok() && terminal) return status;
    if (status.ok()) status = absl::UnavailableError("the server ended the watch");
    if (const auto oldest = OldestSequence(status); oldest && *oldest > after_sequence + 1) {
      after_sequence = *oldest - 1;
      continue;
    }
    if (!Reconnect::MayPass(status)) return status;
    const std::optional<absl::Duration> delay = reconnect.NextDelay(absl::Now());
    if (!delay) return status;
    listener->OnWatchInterrupted(status, *delay);
    if (cancellation->WaitFor(*delay)) return absl::CancelledError("the watch was stopped");
  }
}

}  // namespace tern
