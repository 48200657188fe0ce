#ifndef TERN_SERVER_JOBS_LEASES_H_
#define TERN_SERVER_JOBS_LEASES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/jobs/jobs_context.h"
#include "server/jobs/jobs_observer.h"
#include "server/store/store.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// A lease as the store knows it.
struct LeaseKey {
  std::string job_uid;
  std::string task;
  int64_t epoch = 0;
};

// Takes "{job uid}/{task}" apart. INVALID_ARGUMENT at `field`.
absl::StatusOr<LeaseKey> ParseLease(const worker::v1::Lease& lease, absl::string_view field);

// Whether the lease is the one the task is held under. A lease past its deadline is live until it
// is taken back.
bool IsLive(const std::optional<TaskRecord>& task, const LeaseKey& lease);

// The task held under the lease; ABORTED (STALE_LEASE) when the lease is not live.
absl::StatusOr<TaskRecord> GetLeasedTask(StoreReader& reader, const LeaseKey& lease);

// The task's lease as observers hear of it.
ObservedLease Observed(const JobRecord& job, const TaskRecord& task);

// Tells that `what` was refused because of this lease.
void ObserveStaleWrite(const JobsContext& context, const LeaseKey& lease, absl::string_view what);

// What is said about a lease that is not live.
absl::Status StaleLease(const LeaseKey& lease);
bool IsStaleLease(const absl::Status& status);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_LEASES_H_
