#include "worker/agent/task_progress.h"

#include <algorithm>

namespace tern {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void TaskProgress::EnterStage(absl::string_view stage) {
  LeaveStage();
  const std::lock_guard lock(mutex_);
  entered_ = std::string(stage);
  entered_at_ = Clock::now();
  shown_.stage = entered_;
}

void TaskProgress::LeaveStage() {
  const std::lock_guard lock(mutex_);
  if (!entered_.empty()) seconds_[entered_] += SecondsSince(entered_at_);
  entered_.clear();
}

void TaskProgress::Show(absl::string_view stage, double fraction) {
  Show(fraction);
  const std::lock_guard lock(mutex_);
  shown_.stage = std::string(stage);
}

void TaskProgress::Show(double fraction) {
  const std::lock_guard lock(mutex_);
  shown_.fraction = std::clamp(fraction, shown_.fraction, 1.0);
}

TaskProgress::Snapshot TaskProgress::snapshot() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

std::map<std::string, double> TaskProgress::seconds() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, double> seconds = seconds_;
  if (!entered_.empty()) seconds[entered_] += SecondsSince(entered_at_);
  return seconds;
}

}  // namespace tern
