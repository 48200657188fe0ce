#ifndef TERN_SERVER_SUPERVISOR_SUPERVISOR_H_
#define TERN_SERVER_SUPERVISOR_SUPERVISOR_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/supervisor/child_process.h"

namespace tern {

// Keeps worker processes running beside the server: starts them, starts them again when they end,
// and reports every end at once, so that no lease has to run out first. They never outlive the
// server. Thread-safe.
class Supervisor {
 public:
  struct Options {
    // Path of tern-worker.
    std::string binary;
    int workers = 0;
    // Arguments of worker `slot`, 0 to workers - 1; --supervisor=INSTANCE is added, and
    // --last-words=FILE, the open file that takes the error it ends with.
    std::function<std::vector<std::string>(int slot)> arguments;
    // Called on one of the supervisor's threads when a worker process has ended. `instance` is what
    // it was given as --supervisor, which it puts in WorkerIdentity.supervisor.
    std::function<void(absl::string_view instance)> ended;
    // Wait before a worker is started again; doubles while it keeps ending within `stable_after`.
    absl::Duration first_backoff = absl::Milliseconds(100);
    absl::Duration longest_backoff = absl::Seconds(10);
    absl::Duration stable_after = absl::Seconds(10);
  };

  // A worker that ends with this code was started wrongly; it is not started again.
  static constexpr int kConfigurationError = 2;

  // Starts the workers.
  explicit Supervisor(Options options);
  // Kills what still runs.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Asks all workers to finish what they hold and end (SIGTERM). None is started afterwards.
  void Drain();

  // Whether no worker process runs, and after Drain none ever will.
  bool AllEnded() const;

  // Pids of the worker processes running now.
  std::vector<pid_t> RunningPids() const;

 private:
  struct Slot {
    int index = 0;
    std::thread thread;
    // Set while a process runs; guarded by mutex_.
    std::shared_ptr<ChildProcess> child;
  };

  void RunSlot(Slot& slot);
  // Logs a process's end. False when it is not to be started again. The caller holds mutex_.
  bool Survives(const Slot& slot, const ProcessEnd& end);
  // One life of a worker process; false when it is not to be started again.
  bool RunOnce(Slot& slot, int start);
  // Waits; false when the supervisor is draining.
  bool Pause(absl::Duration duration);
  // The caller holds mutex_.
  void SignalAll(int signal);

  const Options options_;
  // Makes instances of this server's workers unlike those of any server before it.
  const std::string instance_prefix_;
  mutable std::mutex mutex_;
  std::condition_variable drained_;
  bool draining_ = false;  // guarded by mutex_
  int refused_ = 0;        // workers that are not started again; guarded by mutex_
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace tern

#endif  // TERN_SERVER_SUPERVISOR_SUPERVISOR_H_
