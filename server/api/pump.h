#ifndef TERN_SERVER_API_PUMP_H_
#define TERN_SERVER_API_PUMP_H_

#include <functional>
#include <memory>
#include <mutex>

#include "absl/time/time.h"
#include "server/api/executor.h"

namespace grpc {
class Alarm;
}

namespace tern {

// Moves a long call forward: runs `step` on the executor whenever woken, never twice at once. A
// wake during a step is followed by another step, so a step that looked too early looks again. No
// thread is taken while nothing happens.
//
// Held by shared_ptr, so that whoever wakes may outlive the call: capture a weak_ptr. Wake is
// thread-safe.
class Pump : public std::enable_shared_from_this<Pump> {
 public:
  // The executor must outlive every step.
  Pump(Executor& executor, std::function<void()> step);
  ~Pump();

  void Wake();

  // For use within a step.
  // Wakes at `time` too, if nothing did before; replaces an earlier wish.
  void WakeAt(absl::Time time);
  // No step runs after this one: what `step` refers to may go.
  void Stop();

  // A callback that wakes this pump as long as it is there.
  std::function<void()> Waker();

 private:
  enum class State { kIdle, kQueued, kRunning, kRunningAndWoken, kStopped };

  void Queue();
  void Run();

  Executor& executor_;
  const std::function<void()> step_;
  std::unique_ptr<grpc::Alarm> alarm_;  // touched within steps only
  std::mutex mutex_;
  State state_ = State::kIdle;  // guarded by mutex_
};

}  // namespace tern

#endif  // TERN_SERVER_API_PUMP_H_
