#include "server/api/lifecycle.h"

#include <utility>

#include "proto/service/error_details.h"

namespace tern {
namespace {

constexpr char kPhaseKey[] = "phase";

}  // namespace

void Lifecycle::Enter(Phase phase) {
  phase_ = phase;
  signal_.Notify(kPhaseKey);
}

ChangeSignal::Registration Lifecycle::OnChange(ChangeSignal::Callback callback) {
  return signal_.Once(kPhaseKey, std::move(callback));
}

absl::Status Lifecycle::StoppingStatus() {
  return WithReason(absl::UnavailableError("the server is stopping: call again"),
                    "SERVER_STOPPING");
}

}  // namespace tern
