#include "client/cancellation.h"

#include <functional>
#include <utility>

namespace tern {

void Cancellation::Cancel() {
  const absl::MutexLock lock(&mutex_);
  if (cancelled_) return;
  cancelled_ = true;
  if (action_) action_();
}

bool Cancellation::cancelled() const {
  const absl::MutexLock lock(&mutex_);
  return cancelled_;
}

bool Cancellation::WaitFor(absl::Duration duration) const {
  const absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&cancelled_), duration);
}

Cancellation::Action::Action(Cancellation* cancellation, std::function<void()> action)
    : cancellation_(cancellation) {
  const absl::MutexLock lock(&cancellation_->mutex_);
  cancellation_->action_ = std::move(action);
  if (cancellation_->cancelled_) cancellation_->action_();
}

Cancellation::Action::~Action() {
  const absl::MutexLock lock(&cancellation_->mutex_);
  cancellation_->action_ = nullptr;
}

}  // namespace tern
