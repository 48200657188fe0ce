#include "server/jobs/change_signal.h"

#include <vector>

namespace tern {

struct ChangeSignalState {
  struct Waiter {
    std::string key;
    ChangeSignal::Callback callback;
  };

  absl::Mutex mutex;
  uint64_t last_id ABSL_GUARDED_BY(mutex) = 0;
  absl::flat_hash_map<uint64_t, Waiter> waiters ABSL_GUARDED_BY(mutex);
  // Ids by key, in the order of registration.
  absl::flat_hash_map<std::string, std::vector<uint64_t>> waiting ABSL_GUARDED_BY(mutex);
};

ChangeSignal::ChangeSignal() : state_(std::make_shared<ChangeSignalState>()) {}

ChangeSignal::Registration ChangeSignal::Once(absl::string_view key, Callback callback) {
  Registration registration;
  registration.state_ = state_;
  const absl::MutexLock lock(&state_->mutex);
  registration.id_ = ++state_->last_id;
  state_->waiters[registration.id_] = {std::string(key), std::move(callback)};
  state_->waiting[key].push_back(registration.id_);
  return registration;
}

void ChangeSignal::Registration::Cancel() {
  const std::shared_ptr<ChangeSignalState> state = state_.lock();
  if (state == nullptr) return;
  // The callback may own what must not be destroyed under the lock.
  Callback callback;
  const absl::MutexLock lock(&state->mutex);
  const auto it = state->waiters.find(id_);
  if (it == state->waiters.end()) return;
  callback = std::move(it->second.callback);
  const auto waiting = state->waiting.find(it->second.key);
  std::erase(waiting->second, id_);
  if (waiting->second.empty()) state->waiting.erase(waiting);
  state->waiters.erase(it);
}

void ChangeSignal::Notify(absl::string_view key) {
  std::vector<Callback> callbacks;
  {
    const absl::MutexLock lock(&state_->mutex);
    const auto waiting = state_->waiting.find(key);
    if (waiting == state_->waiting.end()) return;
    for (const uint64_t id : waiting->second) {
      const auto it = state_->waiters.find(id);
      callbacks.push_back(std::move(it->second.callback));
      state_->waiters.erase(it);
    }
    state_->waiting.erase(waiting);
  }
  for (const Callback& callback : callbacks) callback();
}

}  // namespace tern
