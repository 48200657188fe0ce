#include "worker/agent/backoff.h"

#include <algorithm>

namespace tern {

Backoff::Backoff(absl::Duration first, absl::Duration longest)
    : first_(first), longest_(longest), next_(first), random_(std::random_device()()) {}

absl::Duration Backoff::Next() {
  const double share = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  const absl::Duration wait = next_ * share;
  next_ = std::min(next_ * 2, longest_);
  return wait;
}

}  // namespace tern
