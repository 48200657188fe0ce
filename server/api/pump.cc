#include "server/api/pump.h"

#include <grpcpp/alarm.h>

#include <utility>

namespace tern {

Pump::Pump(Executor& executor, std::function<void()> step)
    : executor_(executor), step_(std::move(step)) {}

Pump::~Pump() = default;

void Pump::Wake() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kIdle) {
    Queue();
  } else if (state_ == State::kRunning) {
    state_ = State::kRunningAndWoken;
  }
}

void Pump::WakeAt(absl::Time time) {
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(absl::ToChronoTime(time), [waker = Waker()](bool expired) {
    // Otherwise the alarm was replaced.
    if (expired) waker();
  });
}

void Pump::Stop() {
  alarm_ = nullptr;
  const std::lock_guard lock(mutex_);
  state_ = State::kStopped;
}

std::function<void()> Pump::Waker() {
  return [weak = weak_from_this()] {
    if (const auto pump = weak.lock()) pump->Wake();
  };
}

void Pump::Queue() {
  state_ = State::kQueued;
  executor_.Run([self = shared_from_this()] { self->Run(); });
}

void Pump::Run() {
  {
    const std::lock_guard lock(mutex_);
    state_ = State::kRunning;
  }
  step_();
  const std::lock_guard lock(mutex_);
  if (state_ == State::kRunningAndWoken) {
    Queue();
  } else if (state_ == State::kRunning) {
    state_ = State::kIdle;
  }
}

}  // namespace tern
