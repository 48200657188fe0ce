#include "server/metrics/rpc_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tern/v1/quantization_service.pb.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {
namespace {

// A held Synchronize lasts up to 30 seconds; a submission reads its calibration text.
const prometheus::Histogram::BucketBoundaries kCallSeconds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
// A watch or a download lasts as long as its job.
const prometheus::Histogram::BucketBoundaries kStreamSeconds = {0.01, 0.1, 1,    10,   60,
                                                                300,  900, 3600, 14400};

// One method's series.
struct MethodMetrics {
  std::string method;  // "tern.v1.QuantizationService/GetQuantizationJob"
  prometheus::Histogram* seconds = nullptr;
};

class RpcMetricsInterceptor : public grpc::experimental::Interceptor {
 public:
  RpcMetricsInterceptor(const MethodMetrics& method, prometheus::Family<prometheus::Counter>& calls)
      : method_(method), calls_(calls) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto code = static_cast<absl::StatusCode>(batch->GetSendStatus().error_code());
      calls_.Add({{"method", method_.method}, {"code", absl::StatusCodeToString(code)}})
          .Increment();
      method_.seconds->Observe(absl::ToDoubleSeconds(absl::Now() - start_));
    }
    batch->Proceed();
  }

 private:
  const MethodMetrics& method_;
  prometheus::Family<prometheus::Counter>& calls_;
  const absl::Time start_ = absl::Now();
};

class RpcMetricsFactory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit RpcMetricsFactory(std::shared_ptr<prometheus::Registry> registry)
      : registry_(std::move(registry)),
        calls_(prometheus::BuildCounter()
                   .Name("tern_rpcs_total")
                   .Help("Finished RPCs by method and status code.")
                   .Register(*registry_)),
        call_seconds_(prometheus::BuildHistogram()
                          .Name("tern_rpc_duration_seconds")
                          .Help("Duration of unary RPCs; an idle worker's Synchronize is held.")
                          .Register(*registry_)),
        stream_seconds_(prometheus::BuildHistogram()
                            .Name("tern_rpc_stream_duration_seconds")
                            .Help("Duration of streaming RPCs, from first to last message.")
                            .Register(*registry_)) {
    AddService(*tern::v1::CreateQuantizationJobRequest::descriptor()->file()->service(0));
    AddService(*tern::worker::v1::SynchronizeRequest::descriptor()->file()->service(0));
  }

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    const auto method = methods_.find(info->method());
    if (method == methods_.end()) return nullptr;
    return new RpcMetricsInterceptor(method->second, calls_);
  }

 private:
  void AddService(const google::protobuf::ServiceDescriptor& service) {
    for (int i = 0; i < service.method_count(); ++i) {
      const auto& method = *service.method(i);
      const bool streams = method.client_streaming() || method.server_streaming();
      const std::string name = absl::StrCat(service.full_name(), "/", method.name());
      prometheus::Histogram& seconds = streams
                                           ? stream_seconds_.Add({{"method", name}}, kStreamSeconds)
                                           : call_seconds_.Add({{"method", name}}, kCallSeconds);
      // So that the rate of each method is defined before its first call.
      calls_.Add({{"method", name}, {"code", "OK"}});
      methods_[absl::StrCat("/", name)] = {name, &seconds};
    }
  }

  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Family<prometheus::Histogram>& call_seconds_;
  prometheus::Family<prometheus::Histogram>& stream_seconds_;
  // Keys as gRPC names methods, with a leading slash. Not changed after construction.
  absl::flat_hash_map<std::string, MethodMetrics> methods_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(
    std::shared_ptr<prometheus::Registry> registry) {
  return std::make_unique<RpcMetricsFactory>(std::move(registry));
}

}  // namespace tern
