#include "server/jobs/job_system.h"

#include <utility>

#include "checkpoint/status_macros.h"
#include "server/jobs/recovery.h"

namespace tern {
namespace {

// An idle worker's call is held for up to 30 seconds, during which it is not heard from.
constexpr absl::Duration kLongestIdleCall = absl::Seconds(30);
constexpr absl::Duration kForgetAfter = absl::Minutes(10);

}  // namespace

JobSystem::JobSystem(JobsOptions options, Store& store, BlobStore& blobs, const Clock& clock,
                     JobsObserver& observer)
    : workers_(clock, options.scheduler.lease_duration + kLongestIdleCall, kForgetAfter),
      context_{std::move(options), store,    blobs,        clock,
               observer,           workers_, work_signal_, job_signal_},
      finalizer_(context_),
      submission_(context_),
      operations_(context_),
      scheduler_(context_, finalizer_) {}

absl::StatusOr<std::unique_ptr<JobSystem>> JobSystem::Start(JobsOptions options, Store& store,
                                                            BlobStore& blobs, const Clock& clock,
                                                            JobsObserver& observer) {
  std::unique_ptr<JobSystem> system(
      new JobSystem(std::move(options), store, blobs, clock, observer));
  TERN_RETURN_IF_ERROR(Recover(system->context_, system->finalizer_));
  return system;
}

void JobSystem::Maintain() {
  const auto check = [this](absl::string_view doing, const absl::Status& status) {
    if (!status.ok()) context_.observer.Problem(doing, status);
  };
  check("expire leases", scheduler_.ExpireLeases());
  finalizer_.Retry();
  workers_.ForgetSilent();
  const absl::Time now = context_.clock.Now();
  if (now < next_cleaning_) return;
  next_cleaning_ = now + absl::Hours(1);
  check("forget request ids", context_.store.Transact([&](Transaction& transaction) {
    return transaction.DeleteRequestsBefore(now - context_.options.request_ids_kept);
  }));
}

}  // namespace tern
