#ifndef TERN_SERVER_METRICS_RPC_METRICS_H_
#define TERN_SERVER_METRICS_RPC_METRICS_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace prometheus {
class Registry;
}

namespace tern {

// Counts and times every call of Tern's own services, by method and code; a stream's time is that
// of the whole stream. Calls of methods that do not exist are left out, so that a client cannot
// make series.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(
    std::shared_ptr<prometheus::Registry> registry);

}  // namespace tern

#endif  // TERN_SERVER_METRICS_RPC_METRICS_H_
