#include "server/jobs/leases.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/job_view.h"

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

ObservedLease Observed(const JobRecord& job, const TaskRecord& task) {
  return {.job = NameOf(job), .task = task.name, .epoch = task.epoch, .worker = task.worker};
}

void ObserveStaleWrite(const JobsContext& context, const LeaseKey& lease, absl::string_view what) {
  ObservedLease observed = {.job = "", .task = lease.task, .epoch = lease.epoch, .worker = ""};
  const absl::Status read = context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const std::optional<JobRecord> job, reader.GetJob(lease.job_uid));
    if (job.has_value()) observed.job = NameOf(*job);
    return absl::OkStatus();
  });
  if (!read.ok()) context.observer.Problem("name the job of a stale write", read);
  context.observer.StaleWriteRefused(observed, what);
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
