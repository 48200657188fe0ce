#ifndef TERN_SERVER_API_SYNCHRONIZE_CALL_H_
#define TERN_SERVER_API_SYNCHRONIZE_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/api/ended_workers.h"
#include "server/api/executor.h"
#include "server/api/lifecycle.h"
#include "server/api/pump.h"
#include "server/jobs/change_signal.h"
#include "server/jobs/job_system.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// One call of a worker. An idle worker's is held until there is work for it, at most kLongestHold
// or until shortly before the call's deadline; no thread waits with it. Removes itself at its end.
class SynchronizeCall : public grpc::ServerUnaryReactor {
 public:
  static constexpr absl::Duration kLongestHold = absl::Seconds(30);

  // Started by the constructor. `context`, `request` and `response` are the call's, the others
  // outlive it.
  SynchronizeCall(grpc::CallbackServerContext* context, Executor& executor, Lifecycle& lifecycle,
                  JobSystem& jobs, const EndedWorkers& ended,
                  const worker::v1::SynchronizeRequest& request,
                  worker::v1::SynchronizeResponse& response);

  void OnCancel() override { pump_->Wake(); }
  void OnDone() override { delete this; }

 private:
  void Step();
  // True when `response_` is the answer, false when the call waits on.
  absl::StatusOr<bool> Advance();
  // Last words of the last step: afterwards this object may be gone.
  void End(const absl::Status& status);

  grpc::CallbackServerContext* const context_;
  Lifecycle& lifecycle_;
  JobSystem& jobs_;
  const EndedWorkers& ended_;
  worker::v1::SynchronizeRequest request_;
  worker::v1::SynchronizeResponse& response_;
  const absl::Time hold_until_;
  std::optional<absl::Time> seen_;  // when the worker was last heard from in this call
  ChangeSignal::Registration phase_change_;
  ChangeSignal::Registration work_change_;
  const std::shared_ptr<Pump> pump_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_SYNCHRONIZE_CALL_H_
