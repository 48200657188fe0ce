#ifndef TERN_TESTS_UNIT_JOBS_FAKE_CLOCK_H_
#define TERN_TESTS_UNIT_JOBS_FAKE_CLOCK_H_

#include "absl/synchronization/mutex.h"
#include "server/jobs/clock.h"

namespace tern {

// Time that passes when a test says so. Thread-safe.
class FakeClock : public Clock {
 public:
  absl::Time Now() const override {
    const absl::MutexLock lock(&mutex_);
    return now_;
  }
  void Advance(absl::Duration duration) {
    const absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ = absl::FromUnixSeconds(1800000000);
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_JOBS_FAKE_CLOCK_H_
