#ifndef TERN_PROTO_SERVICE_RPC_STATUS_H_
#define TERN_PROTO_SERVICE_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace tern {

// The one place where a status becomes a gRPC status and back. Codes are the same; details travel
// in grpc-status-details-bin. Messages are cut as in ToProto.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_RPC_STATUS_H_
