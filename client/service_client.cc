#include "client/service_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/service/rpc_status.h"
#include "tern/v1/quantization_service.grpc.pb.h"

namespace tern {
namespace {

constexpr auto kCallDeadline = std::chrono::seconds(30);
// Validation opens every file of the model and tokenizes the calibration text.
constexpr auto kCreateDeadline = std::chrono::minutes(10);

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Notices a peer that vanished without closing. Servers refuse pings more often than every five
  // minutes unless they are set up for them.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 310'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetUserAgentPrefix("tern-cli");
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status Converted(const grpc::Status& status, const std::string& address) {
  absl::Status converted = FromGrpcStatus(status);
  // What gRPC itself says of a connection has no details and no address a reader would know.
  if (absl::IsUnavailable(converted) && status.error_details().empty()) {
    return absl::UnavailableError(
        absl::StrCat("tern-server at ", address, " cannot be reached: ", status.error_message()));
  }
  if (absl::IsDeadlineExceeded(converted) && status.error_details().empty()) {
    return absl::DeadlineExceededError(
        absl::StrCat("the tern-server at ", address, " did not answer in time"));
  }
  return converted;
}

// Reads all of `open(context)`'s messages.
template <typename Message, typename Open>
absl::Status ReadStream(const std::string& address, Cancellation* cancellation, const Open& open,
                        const std::function<absl::Status(const Message&)>& on_message) {
  grpc::ClientContext context;
  const Cancellation::Action cancel(cancellation, [&context] { context.TryCancel(); });
  const auto reader = open(&context);
  Message message;
  absl::Status refused;
  while (refused.ok() && reader->Read(&message)) refused = on_message(message);
  if (!refused.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  return refused.ok() ? Converted(status, address) : refused;
}

}  // namespace

struct ServiceClient::Rpc {
  explicit Rpc(const std::string& address)
      : stub(v1::QuantizationService::NewStub(OpenChannel(address))) {}

  // Calls `method` of the stub with a deadline; `cancellation` may be null.
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::QuantizationService::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                    const Request& request, Response* response, const std::string& address,
                    std::chrono::system_clock::duration deadline = kCallDeadline,
                    Cancellation* cancellation = nullptr) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    std::optional<Cancellation::Action> cancel;
    if (cancellation != nullptr) cancel.emplace(cancellation, [&context] { context.TryCancel(); });
    return Converted((stub.get()->*method)(&context, request, response), address);
  }

  std::unique_ptr<v1::QuantizationService::Stub> stub;
};

using Stub = v1::QuantizationService::Stub;

ServiceClient::ServiceClient(const std::string& address)
    : address_(address), rpc_(std::make_unique<Rpc>(address)) {}

ServiceClient::~ServiceClient() = default;

absl::StatusOr<v1::QuantizationJob> ServiceClient::Create(
    const v1::CreateQuantizationJobRequest& request) {
  v1::QuantizationJob job;
  const absl::Status status =
      rpc_->Call(&Stub::CreateQuantizationJob, request, &job, address_, kCreateDeadline);
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::QuantizationJob> ServiceClient::Get(const std::string& name,
                                                       Cancellation* cancellation) {
  v1::GetQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  const absl::Status status =
      rpc_->Call(&Stub::GetQuantizationJob, request, &job, address_, kCallDeadline, cancellation);
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::ListQuantizationJobsResponse> ServiceClient::List(
    const v1::ListQuantizationJobsRequest& request) {
  v1::ListQuantizationJobsResponse response;
  const absl::Status status = rpc_->Call(&Stub::ListQuantizationJobs, request, &response, address_);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::QuantizationJob> ServiceClient::CancelJob(const std::string& name) {
  v1::CancelQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  const absl::Status status = rpc_->Call(&Stub::CancelQuantizationJob, request, &job, address_);
  if (!status.ok()) return status;
  return job;
}

absl::Status ServiceClient::Delete(const std::string& name) {
  v1::DeleteQuantizationJobRequest request;
  request.set_name(name);
  google::protobuf::Empty nothing;
  return rpc_->Call(&Stub::DeleteQuantizationJob, request, &nothing, address_);
}

absl::StatusOr<v1::ListWorkersResponse> ServiceClient::ListWorkers() {
  v1::ListWorkersResponse response;
  const absl::Status status =
      rpc_->Call(&Stub::ListWorkers, v1::ListWorkersRequest(), &response, address_);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::ServerInfo> ServiceClient::GetServerInfo() {
  v1::ServerInfo info;
  const absl::Status status =
      rpc_->Call(&Stub::GetServerInfo, v1::GetServerInfoRequest(), &info, address_);
  if (!status.ok()) return status;
  return info;
}

absl::Status ServiceClient::Watch(
    const v1::WatchQuantizationJobRequest& request, Cancellation* cancellation,
    const std::function<absl::Status(const v1::WatchQuantizationJobResponse&)>& on_message) {
  return ReadStream<v1::WatchQuantizationJobResponse>(
      address_, cancellation,
      [&](grpc::ClientContext* context) {
        return rpc_->stub->WatchQuantizationJob(context, request);
      },
      on_message);
}

absl::Status ServiceClient::Stream(
    const v1::StreamCheckpointRequest& request, Cancellation* cancellation,
    const std::function<absl::Status(const v1::StreamCheckpointResponse&)>& on_message) {
  return ReadStream<v1::StreamCheckpointResponse>(
      address_, cancellation,
      [&](grpc::ClientContext* context) { return rpc_->stub->StreamCheckpoint(context, request); },
      on_message);
}

}  // namespace tern
