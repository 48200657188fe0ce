#ifndef TERN_SERVER_API_ENDED_WORKERS_H_
#define TERN_SERVER_API_ENDED_WORKERS_H_

#include <deque>
#include <mutex>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// Supervised worker processes known to be gone, by what WorkerIdentity.supervisor held. A call of
// such a worker may still be in progress when its end becomes known, and would lease it a task.
// Remembers the last few hundred. Thread-safe.
class EndedWorkers {
 public:
  void Add(absl::string_view supervisor) {
    const std::lock_guard lock(mutex_);
    ended_.emplace_back(supervisor);
    if (ended_.size() > kRemembered) ended_.pop_front();
  }

  bool Contains(absl::string_view supervisor) const {
    if (supervisor.empty()) return false;
    const std::lock_guard lock(mutex_);
    for (const std::string& ended : ended_) {
      if (ended == supervisor) return true;
    }
    return false;
  }

 private:
  static constexpr size_t kRemembered = 256;

  mutable std::mutex mutex_;
  std::deque<std::string> ended_;  // guarded by mutex_
};

}  // namespace tern

#endif  // TERN_SERVER_API_ENDED_WORKERS_H_
