#include "server/jobs/leases.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"

namespace tern {
namespace {

constexpr char kStaleLease[] = "STALE_LEASE";

}  // namespace

absl::StatusOr<LeaseKey> ParseLease(const worker::v1::Lease& lease, absl::string_view field) {
  const std::vector<std::string> parts = absl::StrSplit(lease.task(), absl::MaxSplits('/', 1));
  if (parts.size() != 2 || parts[0].empty() || parts[1].empty() || lease.epoch() <= 0) {
    return InvalidField(field, absl::StrCat("\"", lease.task(), "\", epoch ", lease.epoch(),
                                            ", is not a lease this server gave"));
  }
  return LeaseKey{parts[0], parts[1], lease.epoch()};
}

bool IsLive(const std::optional<TaskRecord>& task, const LeaseKey& lease) {
  return task.has_value() && task->state == TaskState::kLeased && task->epoch == lease.epoch;
}

absl::StatusOr<TaskRecord> GetLeasedTask(StoreReader& reader, const LeaseKey& lease) {
  TERN_ASSIGN_OR_RETURN(std::optional<TaskRecord> task, reader.GetTask(lease.job_uid, lease.task));
  if (!IsLive(task, lease)) return StaleLease(lease);
  return *std::move(task);
}

absl::Status StaleLease(const LeaseKey& lease) {
  return WithReason(
      absl::AbortedError(absl::StrCat("epoch ", lease.epoch, " of task ", lease.job_uid, "/",
                                      lease.task, " has ended; drop the task")),
      kStaleLease);
}

bool IsStaleLease(const absl::Status& status) {
  return absl::IsAborted(status) && ReasonOf(status) == kStaleLease;
}

}  // namespace tern
