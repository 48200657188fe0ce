#ifndef TERN_SERVER_JOBS_WORKER_REGISTRY_H_
#define TERN_SERVER_JOBS_WORKER_REGISTRY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/jobs/clock.h"
#include "server/store/records.h"

namespace tern {

// A calibration state a worker holds: hidden states standing before `next_block` of a shard.
struct WarmState {
  std::string job_uid;
  int32_t shard = 0;
  int32_t next_block = 0;
  friend bool operator==(const WarmState&, const WarmState&) = default;
};

// What a worker said it is working on.
struct WorkerActivity {
  std::string job_uid;
  std::string job_name;
  std::string task;
  double cost = 0;  // the task's, as planned
  std::string stage;
  double fraction = 0;  // 0 to 1 within the task
};

// A worker as it last reported.
struct WorkerInfo {
  std::string id;
  std::string host;
  std::string device;
  int64_t memory_bytes = 0;  // 0: not reported
  std::string version;
  std::string supervisor;
  int64_t resident_bytes = 0;
  bool draining = false;
  std::optional<WorkerActivity> activity;
  std::vector<WarmState> warm;
  absl::Time last_seen;
  bool lost = false;  // silent for longer than `lost_after`, or known to be gone
};

// Whether its memory_bytes are a GPU's.
inline bool ComputesOnGpu(const WorkerInfo& worker) {
  return absl::StartsWith(worker.device, "cuda");
}

// A worker that does not report its memory is given anything.
inline WorkerRoom RoomOf(const WorkerInfo& worker) {
  return {.on_gpu = ComputesOnGpu(worker),
          .memory_bytes = worker.memory_bytes > 0 ? worker.memory_bytes : INT64_MAX};
}

// The workers heard from lately. Kept in memory only: after a restart it fills as workers report,
// within one report interval. Nothing that must be right depends on it; leases are in the store.
// Thread-safe.
class WorkerRegistry {
 public:
  // A worker silent for `lost_after` is lost, and forgotten after `forget_after`.
  WorkerRegistry(const Clock& clock, absl::Duration lost_after, absl::Duration forget_after)
      : clock_(clock),
        lost_after_(lost_after),
        forget_after_(forget_after),
        complete_at_(clock.Now() + kReturnsWithin) {}

  // Replaces what is known of the worker; last_seen is set to now, which is returned.
  absl::Time Report(WorkerInfo worker);
  void SetActivity(absl::string_view worker, std::optional<WorkerActivity> activity);
  // The worker seems to be gone: it is lost until it reports again. Does nothing when it has
  // reported after `last_seen`.
  void MarkLost(absl::string_view worker, absl::Time last_seen);
  // The worker's process is gone.
  void Remove(absl::string_view worker);

  // By id.
  std::vector<WorkerInfo> List() const;
  // Whether workers that an earlier process of the server knew have had the time to call again.
  bool IsComplete() const { return clock_.Now() >= complete_at_; }
  // Activities on tasks of a job by workers not lost.
  std::vector<WorkerInfo> ActiveOn(absl::string_view job_uid) const;
  // Whether a worker other than `asking`, neither lost nor draining, holds this state.
  bool HeldByAnother(const WarmState& state, absl::string_view asking) const;

  // Forgets those silent for too long.
  void ForgetSilent();

 private:
  // Workers try a server that is away at least this often.
  static constexpr absl::Duration kReturnsWithin = absl::Seconds(5);

  bool IsLost(const WorkerInfo& worker) const {
    return worker.lost || clock_.Now() - worker.last_seen > lost_after_;
  }

  const Clock& clock_;
  const absl::Duration lost_after_;
  const absl::Duration forget_after_;
  const absl::Time complete_at_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, WorkerInfo> workers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_WORKER_REGISTRY_H_
