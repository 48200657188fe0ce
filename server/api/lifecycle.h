#ifndef TERN_SERVER_API_LIFECYCLE_H_
#define TERN_SERVER_API_LIFECYCLE_H_

#include <atomic>

#include "absl/status/status.h"
#include "server/jobs/change_signal.h"

namespace tern {

// How far the server is in its life. Thread-safe.
class Lifecycle {
 public:
  enum class Phase {
    kServing,
    // No new work is offered to workers; all else goes on.
    kDraining,
    // Open calls end with UNAVAILABLE, so that clients try again elsewhere or later.
    kStopping,
  };

  Phase phase() const { return phase_; }
  // Phases only follow each other.
  void Enter(Phase phase);

  // Calls `callback` when the phase changes next; look at phase() after this.
  [[nodiscard]] ChangeSignal::Registration OnChange(ChangeSignal::Callback callback);

  // What a call that is cut off ends with.
  static absl::Status StoppingStatus();

 private:
  std::atomic<Phase> phase_ = Phase::kServing;
  ChangeSignal signal_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_LIFECYCLE_H_
