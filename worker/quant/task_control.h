#ifndef TERN_WORKER_QUANT_TASK_CONTROL_H_
#define TERN_WORKER_QUANT_TASK_CONTROL_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tern {

// How long work reports where it stands and learns that it should stop. Both may be empty; they are
// called on the thread that does the work, between batches of windows, layers and groups.
struct TaskControl {
  // `stage` is one of block_stages.h; `fraction` of the whole task is done, 0 to 1, never falling.
  std::function<void(absl::string_view stage, double fraction)> progress;
  // True ends the work with CANCELLED.
  std::function<bool()> cancelled;

  absl::Status Check() const {
    return cancelled && cancelled() ? absl::CancelledError("the task was cancelled")
                                    : absl::OkStatus();
  }
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_TASK_CONTROL_H_
