#ifndef TERN_SERVER_JOBS_CHANGE_SIGNAL_H_
#define TERN_SERVER_JOBS_CHANGE_SIGNAL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace tern {

// Wakes whoever waits for a change, without a thread per waiter. One waits in this order, and
// misses nothing: register with Once, then look at the state; when there is nothing new, return
// and let the callback start over.
//
// Thread-safe. Callbacks run on the thread that calls Notify, with no lock held: they must return
// quickly and may call anything here.
class ChangeSignal {
 public:
  using Callback = std::function<void()>;

  // Ends the registration when destroyed. A callback already under way may still be running, or be
  // about to run, afterwards: capture a weak or shared pointer, not `this`. May outlive the signal.
  class Registration {
   public:
    Registration() = default;
    Registration(Registration&& other) noexcept
        : state_(std::exchange(other.state_, {})), id_(std::exchange(other.id_, 0)) {}
    Registration& operator=(Registration&& other) noexcept {
      if (this != &other) {
        Cancel();
        state_ = std::exchange(other.state_, {});
        id_ = std::exchange(other.id_, 0);
      }
      return *this;
    }
    ~Registration() { Cancel(); }

    void Cancel();  // Once more does nothing.

   private:
    friend class ChangeSignal;
    std::weak_ptr<struct ChangeSignalState> state_;
    uint64_t id_ = 0;
  };

  ChangeSignal();

  // Calls `callback` once, at the first Notify of `key` after this.
  [[nodiscard]] Registration Once(absl::string_view key, Callback callback);

  void Notify(absl::string_view key);

 private:
  std::shared_ptr<struct ChangeSignalState> state_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_CHANGE_SIGNAL_H_
