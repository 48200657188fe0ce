#include "worker/agent/synchronizer.h"

#include <grpcpp/client_context.h>

#include "absl/time/clock.h"
#include "proto/service/rpc_status.h"
#include "worker/agent/server_channel.h"

namespace tern {

absl::StatusOr<tern::worker::v1::SynchronizeResponse> GrpcSynchronizer::Synchronize(
    const tern::worker::v1::SynchronizeRequest& request, absl::Duration deadline,
    std::stop_token cancel) {
  grpc::ClientContext context;
  SetDeadline(context, deadline);
  const std::stop_callback on_cancel(cancel, [&context] { context.TryCancel(); });
  const absl::Time start = absl::Now();
  tern::worker::v1::SynchronizeResponse response;
  absl::Status status = FromGrpcStatus(stub_.Synchronize(&context, request, &response));
  metrics_.CountRpc("Synchronize", status.code(), absl::Now() - start);
  if (!status.ok()) return status;
  return response;
}

}  // namespace tern
