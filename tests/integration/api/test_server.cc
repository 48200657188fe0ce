#include "tests/integration/api/test_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/blobs/directory_blob_store.h"
#include "server/metrics/queue_metrics.h"
#include "server/store/sqlite_store.h"
#include "tests/shared_data.h"

namespace tern {
namespace {

constexpr size_t kTextBytes = 20'000;

// The first detail of the type that the error carries; empty without one.
template <typename Detail>
Detail WireDetail(const grpc::Status& status) {
  google::rpc::Status proto;
  Detail detail;
  if (!proto.ParseFromString(status.error_details())) return detail;
  for (const auto& any : proto.details()) {
    if (any.Is<Detail>() && any.UnpackTo(&detail)) return detail;
  }
  return detail;
}

}  // namespace

TestServer::TestServer(JobsOptions options) {
  store_ = OpenSqliteStore(folder_.File("tern.db")).value();
  blobs_ = OpenDirectoryBlobStore(folder_.File("blobs")).value();
  system_ = JobSystem::Start(std::move(options), *store_, *blobs_, clock_, metrics_).value();
  registry_->AtScrape([this] { return QueueMetrics(*system_); });
  ApiServer::Options api;
  api.listen = "127.0.0.1:0";
  api_ = ApiServer::Start(api, *system_, transfers_, registry_).value();
  jobs_stub_ = v1::QuantizationService::NewStub(Connect());
  workers_stub_ = worker::v1::WorkerService::NewStub(Connect());

  std::ifstream sampled(DataPath("sampled.txt"));
  std::string text(std::istreambuf_iterator<char>(sampled), {});
  std::ofstream(folder_.File("text.txt")) << text.substr(0, kTextBytes);
}

TestServer::~TestServer() = default;

std::string TestServer::address() const { return absl::StrCat("127.0.0.1:", api_->port()); }

std::shared_ptr<grpc::Channel> TestServer::Connect() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
}

absl::Status TestServer::StartAnotherAt(const std::string& address) {
  ApiServer::Options options;
  options.listen = address;
  return ApiServer::Start(options, *system_, transfers_, std::make_shared<ScrapeRegistry>())
      .status();
}

v1::CreateQuantizationJobRequest TestServer::SmallJob() const {
  v1::CreateQuantizationJobRequest request;
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.set_model(DataPath("demo-llama"));
  spec.mutable_pt2llm();
  spec.mutable_calibration()->add_files(folder_.File("text.txt"));
  spec.mutable_calibration()->set_samples(2);
  spec.mutable_calibration()->set_sequence_length(32);
  spec.mutable_evaluation()->add_files(folder_.File("text.txt"));
  spec.mutable_evaluation()->set_window_length(32);
  spec.mutable_evaluation()->set_windows(2);
  return request;
}

v1::QuantizationJob TestServer::Create(const v1::CreateQuantizationJobRequest& request) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  v1::QuantizationJob job;
  const grpc::Status status = jobs_stub_->CreateQuantizationJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

v1::QuantizationJob TestServer::Get(const std::string& name) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  v1::GetQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  const grpc::Status status = jobs_stub_->GetQuantizationJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

void SetTestDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
}

std::string WireReason(const grpc::Status& status) {
  const auto info = WireDetail<google::rpc::ErrorInfo>(status);
  return info.domain() == "tern" ? info.reason() : "";
}

std::string WireFields(const grpc::Status& status) {
  std::string fields;
  const auto request = WireDetail<google::rpc::BadRequest>(status);
  for (const auto& violation : request.field_violations()) {
    absl::StrAppend(&fields, fields.empty() ? "" : ",", violation.field());
  }
  return fields;
}

}  // namespace tern
