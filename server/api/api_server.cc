#include "server/api/api_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/api/executor.h"
#include "server/api/lifecycle.h"
#include "server/api/quantization_service.h"
#include "server/api/worker_service.h"
#include "server/metrics/rpc_metrics.h"

namespace tern {
namespace {

constexpr int kMaxMessageBytes = 4 << 20;
// Of gRPC's own threads, which serve reflection only.
constexpr int kMaxSyncThreads = 8;

void SetChannelArguments(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  // Otherwise a second server would share the port and take every other connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients may ask every 10 seconds whether the connection lives, with or without a call; the
  // server asks too, so that nothing is kept for clients that vanished without a word.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 9'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
}

}  // namespace

struct ApiServer::Impl {
  Impl(const Options& options, JobSystem& jobs, TransferMetrics& transfers)
      : executor(options.threads),
        submissions(options.submission_threads),
        quantization(jobs, executor, submissions, lifecycle, transfers),
        worker(jobs, executor, lifecycle, transfers) {}

  // In the order in which they depend on each other: the server goes first.
  Lifecycle lifecycle;
  Executor executor;
  Executor submissions;
  QuantizationServiceImpl quantization;
  WorkerServiceImpl worker;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(
    const Options& options, JobSystem& jobs, TransferMetrics& transfers,
    std::shared_ptr<prometheus::Registry> registry) {
  auto impl = std::make_unique<Impl>(options, jobs, transfers);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  SetChannelArguments(builder);
  grpc::ResourceQuota quota("tern-server");
  quota.SetMaxThreads(kMaxSyncThreads);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeRpcMetrics(std::move(registry)));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.RegisterService(&impl->quantization);
  builder.RegisterService(&impl->worker);
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &impl->port);

  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen,
                     ": is the port taken by another program, or the address not this machine's?"));
  }
  impl->server->GetHealthCheckService()->SetServingStatus(true);
  return absl::WrapUnique(new ApiServer(std::move(impl)));
}

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ApiServer::~ApiServer() { Stop(absl::ZeroDuration()); }

int ApiServer::port() const { return impl_->port; }

bool ApiServer::serving() const { return impl_->lifecycle.phase() == Lifecycle::Phase::kServing; }

absl::Status ApiServer::EndWorker(absl::string_view supervisor) {
  return impl_->worker.EndWorker(supervisor);
}

void ApiServer::Drain() {
  impl_->server->GetHealthCheckService()->SetServingStatus(false);
  impl_->lifecycle.Enter(Lifecycle::Phase::kDraining);
}

void ApiServer::Stop(absl::Duration grace) {
  impl_->server->GetHealthCheckService()->SetServingStatus(false);
  impl_->lifecycle.Enter(Lifecycle::Phase::kStopping);
  impl_->server->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  impl_->server->Wait();
}

}  // namespace tern
