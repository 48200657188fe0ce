#ifndef TERN_SERVER_JOBS_CLOCK_H_
#define TERN_SERVER_JOBS_CLOCK_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {

// What time it is, so that tests can say. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class SystemClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_CLOCK_H_
