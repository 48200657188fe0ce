#ifndef TERN_WORKER_AGENT_TASK_PROGRESS_H_
#define TERN_WORKER_AGENT_TASK_PROGRESS_H_

#include <chrono>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

// What the thread that computes a task and the loop that holds its lease tell each other: how far
// the task is, and that it should stop. Thread-safe.
class TaskProgress {
 public:
  struct Snapshot {
    std::string stage;
    double fraction = 0;  // 0 to 1 within the task
  };

  // Shows `stage`, and counts wall-clock time for it until the next call of EnterStage or
  // LeaveStage.
  void EnterStage(absl::string_view stage);
  void LeaveStage();
  // Shows where the task is without counting time. The fraction never goes back.
  void Show(absl::string_view stage, double fraction);
  void Show(double fraction);

  Snapshot snapshot() const;
  // Wall-clock seconds by stage entered, so far.
  std::map<std::string, double> seconds() const;

  void Stop() { stop_.request_stop(); }
  bool stopped() const { return stop_.stop_requested(); }
  std::stop_token stop_token() const { return stop_.get_token(); }

 private:
  using Clock = std::chrono::steady_clock;

  std::stop_source stop_;
  mutable std::mutex mutex_;
  Snapshot shown_;
  std::string entered_;  // the stage that time counts for; empty: none
  Clock::time_point entered_at_;
  std::map<std::string, double> seconds_;  // without the stage entered last
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_TASK_PROGRESS_H_
