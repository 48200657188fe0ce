#ifndef TERN_WORKER_QUANT_STAGE_CLOCK_H_
#define TERN_WORKER_QUANT_STAGE_CLOCK_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/status_macros.h"
#include "proto/service/block_stages.h"  // the names of stages, for those who enter them
#include "worker/backend/backend.h"

namespace tern {

// Seconds that a backend spent by stage (block_stages.h). Its time between two calls of Enter
// belongs to the stage entered by the first. Thread-compatible.
class StageClock {
 public:
  explicit StageClock(Backend& backend) : backend_(backend) {}

  absl::Status Enter(const char* stage) {
    TERN_ASSIGN_OR_RETURN(Backend::Mark now, backend_.Now());
    entries_.emplace_back(stage, std::move(now));
    return absl::OkStatus();
  }

  absl::Status Stop() { return Enter(nullptr); }

  // Of what was entered and left since the last call; waits for the backend.
  absl::StatusOr<std::map<std::string, double>> TakeSeconds() {
    std::map<std::string, double> seconds;
    for (size_t i = 0; i + 1 < entries_.size(); ++i) {
      if (entries_[i].first == nullptr) continue;
      TERN_ASSIGN_OR_RETURN(const double spent,
                            backend_.Seconds(entries_[i].second, entries_[i + 1].second));
      seconds[entries_[i].first] += spent;
    }
    entries_.clear();
    return seconds;
  }

 private:
  Backend& backend_;
  std::vector<std::pair<const char*, Backend::Mark>> entries_;  // nullptr: in no stage
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_STAGE_CLOCK_H_
