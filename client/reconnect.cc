#include "client/reconnect.h"

#include <algorithm>
#include <optional>

namespace tern {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(100);
constexpr absl::Duration kLongestDelay = absl::Seconds(5);

}  // namespace

Reconnect::Reconnect(absl::Duration give_up_after)
    : give_up_after_(give_up_after), delay_(kFirstDelay) {}

void Reconnect::Succeeded() {
  away_since_.reset();
  delay_ = kFirstDelay;
}

std::optional<absl::Duration> Reconnect::NextDelay(absl::Time now) {
  if (!away_since_) away_since_ = now;
  if (now - *away_since_ >= give_up_after_) return std::nullopt;
  const absl::Duration delay = delay_;
  delay_ = std::min(delay_ * 2, kLongestDelay);
  return delay;
}

bool Reconnect::MayPass(const absl::Status& status) {
  // A server that stops cancels the calls it has; the caller knows whether it did so itself.
  return absl::IsUnavailable(status) || absl::IsCancelled(status);
}

}  // namespace tern
