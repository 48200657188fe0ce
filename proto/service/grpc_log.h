#ifndef TERN_PROTO_SERVICE_GRPC_LOG_H_
#define TERN_PROTO_SERVICE_GRPC_LOG_H_

namespace tern {

// Makes what gRPC itself has to say part of this program's log. Called once, before gRPC is used.
void RouteGrpcLog();

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_GRPC_LOG_H_
