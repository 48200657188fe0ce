#ifndef TERN_WORKER_AGENT_BACKOFF_H_
#define TERN_WORKER_AGENT_BACKOFF_H_

#include <random>

#include "absl/time/time.h"

namespace tern {

// Waits between attempts: each up to twice the one before, at most `longest`, and anywhere in the
// upper half of that, so that workers that lost the same server do not return in step.
// Thread-compatible.
class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration longest);

  absl::Duration Next();
  // To be called after a success.
  void Reset() { next_ = first_; }

 private:
  const absl::Duration first_, longest_;
  absl::Duration next_;
  std::minstd_rand random_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_BACKOFF_H_
