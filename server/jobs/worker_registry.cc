#include "server/jobs/worker_registry.h"

#include <algorithm>
#include <utility>

namespace tern {

absl::Time WorkerRegistry::Report(WorkerInfo worker) {
  const absl::Time now = clock_.Now();
  worker.last_seen = now;
  const absl::MutexLock lock(&mutex_);
  workers_[worker.id] = std::move(worker);
  return now;
}

void WorkerRegistry::SetActivity(absl::string_view worker, std::optional<WorkerActivity> activity) {
  const absl::MutexLock lock(&mutex_);
  const auto it = workers_.find(worker);
  if (it != workers_.end()) it->second.activity = std::move(activity);
}

void WorkerRegistry::MarkLost(absl::string_view worker, absl::Time last_seen) {
  const absl::MutexLock lock(&mutex_);
  const auto it = workers_.find(worker);
  if (it != workers_.end() && it->second.last_seen <= last_seen) it->second.lost = true;
}

void WorkerRegistry::Remove(absl::string_view worker) {
  const absl::MutexLock lock(&mutex_);
  workers_.erase(worker);
}

std::vector<WorkerInfo> WorkerRegistry::List() const {
  std::vector<WorkerInfo> workers;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [id, worker] : workers_) {
      workers.push_back(worker);
      workers.back().lost = IsLost(worker);
    }
  }
  std::sort(workers.begin(), workers.end(),
            [](const WorkerInfo& a, const WorkerInfo& b) { return a.id < b.id; });
  return workers;
}

std::vector<WorkerInfo> WorkerRegistry::ActiveOn(absl::string_view job_uid) const {
  std::vector<WorkerInfo> active = List();
  std::erase_if(active, [job_uid](const WorkerInfo& worker) {
    return worker.lost || !worker.activity.has_value() || worker.activity->job_uid != job_uid;
  });
  return active;
}

bool WorkerRegistry::HeldByAnother(const WarmState& state, absl::string_view asking) const {
  const absl::MutexLock lock(&mutex_);
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const WorkerInfo& worker = entry.second;
    return worker.id != asking && !worker.draining && !IsLost(worker) &&
           std::find(worker.warm.begin(), worker.warm.end(), state) != worker.warm.end();
  });
}

void WorkerRegistry::ForgetSilent() {
  const absl::Time now = clock_.Now();
  const absl::MutexLock lock(&mutex_);
  absl::erase_if(workers_,
                 [&](const auto& entry) { return now - entry.second.last_seen > forget_after_; });
}

}  // namespace tern
