#ifndef TERN_SERVER_API_RESPONSE_STREAM_H_
#define TERN_SERVER_API_RESPONSE_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "proto/service/rpc_status.h"
#include "server/api/exception_barrier.h"
#include "server/api/executor.h"
#include "server/api/lifecycle.h"
#include "server/api/pump.h"
#include "server/api/stream_source.h"

namespace tern {

// A server-streaming call that sends what its source gives, one message outstanding at a time. It
// ends with the source, with the client, or with the server, and then removes itself.
template <typename Response>
class ResponseStream : public grpc::ServerWriteReactor<Response> {
 public:
  // Started by the constructor. `context` is the call's, the others outlive it.
  ResponseStream(grpc::CallbackServerContext* context, Executor& executor, Lifecycle& lifecycle,
                 std::unique_ptr<StreamSource<Response>> source)
      : context_(context),
        lifecycle_(lifecycle),
        source_(std::move(source)),
        pump_(std::make_shared<Pump>(executor, [this] { Step(); })) {
    pump_->Wake();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) broken_ = true;
    writing_ = false;
    pump_->Wake();
  }
  void OnCancel() override { pump_->Wake(); }
  void OnDone() override { delete this; }

 private:
  // Only steps send and finish, so that they need no lock between them.
  void Step() {
    if (writing_) return;
    if (broken_ || context_->IsCancelled()) {
      return End(absl::CancelledError("the client has gone"));
    }
    AwaitPhaseChange();
    if (lifecycle_.phase() == Lifecycle::Phase::kStopping) return End(Lifecycle::StoppingStatus());

    StreamStep next = StreamStep::End();
    response_.Clear();
    const absl::Status status = CatchExceptions([&] {
      auto pulled = source_->Pull(response_, pump_->Waker());
      if (pulled.ok()) next = *pulled;
      return pulled.status();
    });
    if (!status.ok()) return End(status);
    switch (next.kind) {
      case StreamStep::Kind::kSend:
        writing_ = true;
        this->StartWrite(&response_);
        return;
      case StreamStep::Kind::kWait:
        if (next.until != absl::InfiniteFuture()) pump_->WakeAt(next.until);
        return;
      case StreamStep::Kind::kEnd:
        return End(absl::OkStatus());
    }
  }

  // Registers once for each phase, not for each step: there may be thousands of streams.
  void AwaitPhaseChange() {
    const Lifecycle::Phase phase = lifecycle_.phase();
    if (awaited_phase_ == phase) return;
    phase_change_ = lifecycle_.OnChange(pump_->Waker());
    awaited_phase_ = phase;
  }

  // Last words of the last step: afterwards this object may be gone.
  void End(const absl::Status& status) {
    phase_change_.Cancel();
    source_ = nullptr;
    pump_->Stop();
    this->Finish(ToGrpcStatus(status));
  }

  grpc::CallbackServerContext* const context_;
  Lifecycle& lifecycle_;
  std::unique_ptr<StreamSource<Response>> source_;
  Response response_;
  std::atomic<bool> writing_ = false;
  std::atomic<bool> broken_ = false;
  std::optional<Lifecycle::Phase> awaited_phase_;
  ChangeSignal::Registration phase_change_;
  const std::shared_ptr<Pump> pump_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_RESPONSE_STREAM_H_
