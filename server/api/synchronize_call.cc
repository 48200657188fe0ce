#include "server/api/synchronize_call.h"

#include <algorithm>
#include <string>

#include "absl/time/clock.h"
#include "checkpoint/status_macros.h"
#include "proto/service/rpc_status.h"
#include "server/api/exception_barrier.h"

namespace tern {
namespace {

// So that the answer arrives before the client gives up.
constexpr absl::Duration kBeforeDeadline = absl::Milliseconds(500);

absl::Time HoldUntil(const grpc::CallbackServerContext& context) {
  const absl::Time longest = absl::Now() + SynchronizeCall::kLongestHold;
  return std::min(longest, absl::FromChrono(context.deadline()) - kBeforeDeadline);
}

}  // namespace

SynchronizeCall::SynchronizeCall(grpc::CallbackServerContext* context, Executor& executor,
                                 Lifecycle& lifecycle, JobSystem& jobs, const EndedWorkers& ended,
                                 const worker::v1::SynchronizeRequest& request,
                                 worker::v1::SynchronizeResponse& response)
    : context_(context),
      lifecycle_(lifecycle),
      jobs_(jobs),
      ended_(ended),
      request_(request),
      response_(response),
      hold_until_(HoldUntil(*context)),
      pump_(std::make_shared<Pump>(executor, [this] { Step(); })) {
  pump_->Wake();
}

void SynchronizeCall::Step() {
  // What a worker that has gone reported must still count; it only gets nothing new.
  if (context_->IsCancelled() && request_.has_idle()) {
    if (seen_.has_value()) jobs_.scheduler().WorkerLeft(request_.worker().id(), *seen_);
    return End(absl::CancelledError("the worker has gone"));
  }
  bool answered = false;
  const absl::Status status = CatchExceptions([&] {
    auto advanced = Advance();
    if (advanced.ok()) answered = *advanced;
    return advanced.status();
  });
  if (!status.ok() || answered) End(status);
}

absl::StatusOr<bool> SynchronizeCall::Advance() {
  phase_change_ = lifecycle_.OnChange(pump_->Waker());
  const Lifecycle::Phase phase = lifecycle_.phase();
  if (phase == Lifecycle::Phase::kStopping) return Lifecycle::StoppingStatus();
  if (phase == Lifecycle::Phase::kDraining) {
    // Held without being offered anything: an answer would only be followed by the next call.
    if (request_.has_idle() && !request_.draining() && absl::Now() < hold_until_) {
      pump_->WakeAt(hold_until_);
      return false;
    }
    request_.set_draining(true);
  }

  const std::string& supervisor = request_.worker().supervisor();
  if (request_.has_idle() && ended_.Contains(supervisor)) {
    return absl::CancelledError("the worker has ended");
  }

  work_change_ = jobs_.work_signal().Once(kWorkKey, pump_->Waker());
  TERN_ASSIGN_OR_RETURN(Scheduler::Answer answer, jobs_.scheduler().Synchronize(request_));
  seen_ = answer.seen;
  if (ended_.Contains(supervisor)) {
    // It ended while the call was being answered: what it was given, and that it was heard from,
    // is taken back.
    TERN_RETURN_IF_ERROR(jobs_.scheduler().ExpireSupervised(supervisor));
    if (request_.has_idle()) return absl::CancelledError("the worker has ended");
  }
  const absl::Time now = absl::Now();
  if (answer.may_wait && now < hold_until_) {
    request_.mutable_idle();
    pump_->WakeAt(std::min(answer.retry_at, hold_until_));
    return false;
  }
  response_.Swap(&answer.response);
  return true;
}

void SynchronizeCall::End(const absl::Status& status) {
  phase_change_.Cancel();
  work_change_.Cancel();
  pump_->Stop();
  Finish(ToGrpcStatus(status));
}

}  // namespace tern
