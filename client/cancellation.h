#ifndef TERN_CLIENT_CANCELLATION_H_
#define TERN_CLIENT_CANCELLATION_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tern {

// Tells a thread that reads a stream or waits to stop. Thread-safe.
class Cancellation {
 public:
  // Runs the action in force, if any. Cancelling again changes nothing.
  void Cancel();
  bool cancelled() const;

  // Waits for `duration`; true, at once, when cancelled.
  bool WaitFor(absl::Duration duration) const;

  // While it lives `action` is run by Cancel, or at once when that was called before. One at a
  // time; `action` must not use the cancellation.
  class Action {
   public:
    Action(Cancellation* cancellation, std::function<void()> action);
    ~Action();
    Action(const Action&) = delete;
    Action& operator=(const Action&) = delete;

   private:
    Cancellation* cancellation_;
  };

 private:
  mutable absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> action_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_CLIENT_CANCELLATION_H_
