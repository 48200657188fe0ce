#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <string>

#include "server/jobs/jobs_options.h"
#include "tests/integration/api/scripted_worker.h"
#include "tests/integration/api/test_server.h"

namespace tern {
namespace {

using v1::QuantizationJob;

// The status of one call, with a deadline that only a hang reaches.
template <typename Method, typename Request, typename Response>
grpc::Status Call(TestServer& server, Method method, const Request& request, Response& response) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  return (server.jobs().*method)(&context, request, &response);
}

grpc::Status TryCreate(TestServer& server, const v1::CreateQuantizationJobRequest& request) {
  QuantizationJob job;
  return Call(server, &v1::QuantizationService::Stub::CreateQuantizationJob, request, job);
}

grpc::Status TryGet(TestServer& server, const std::string& name) {
  v1::GetQuantizationJobRequest request;
  request.set_name(name);
  QuantizationJob job;
  return Call(server, &v1::QuantizationService::Stub::GetQuantizationJob, request, job);
}

grpc::Status TryCancel(TestServer& server, const std::string& name, QuantizationJob& job) {
  v1::CancelQuantizationJobRequest request;
  request.set_name(name);
  return Call(server, &v1::QuantizationService::Stub::CancelQuantizationJob, request, job);
}

grpc::Status TryDelete(TestServer& server, const std::string& name) {
  v1::DeleteQuantizationJobRequest request;
  request.set_name(name);
  google::protobuf::Empty empty;
  return Call(server, &v1::QuantizationService::Stub::DeleteQuantizationJob, request, empty);
}

v1::ListQuantizationJobsResponse List(TestServer& server,
                                      const v1::ListQuantizationJobsRequest& request) {
  v1::ListQuantizationJobsResponse response;
  const grpc::Status status =
      Call(server, &v1::QuantizationService::Stub::ListQuantizationJobs, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

TEST(JobsTest, CreateAnswersWithThePendingJobAndItsDefaults) {
  TestServer server;
  auto request = server.SmallJob();
  request.set_quantization_job_id("nightly");
  const QuantizationJob job = server.Create(request);
  EXPECT_EQ(job.name(), "namespaces/default/quantizationJobs/nightly");
  EXPECT_EQ(job.state(), QuantizationJob::PENDING);
  EXPECT_EQ(job.spec().shards(), 1);
  EXPECT_EQ(job.spec().pt2llm().group_size(), 128);
  EXPECT_EQ(job.model().architecture(), "LlamaForCausalLM");
  EXPECT_GT(job.preflight().worker_memory_bytes(), 0);
}

TEST(JobsTest, GetAnswersWithWhatCreateMade) {
  TestServer server;
  const QuantizationJob created = server.CreateSmallJob();
  const QuantizationJob job = server.Get(created.name());
  EXPECT_EQ(job.name(), created.name());
  EXPECT_EQ(job.spec().SerializeAsString(), created.spec().SerializeAsString());
}

TEST(JobsTest, ValidateOnlyLeavesNoJob) {
  TestServer server;
  auto request = server.SmallJob();
  request.set_validate_only(true);
  const QuantizationJob job = server.Create(request);
  EXPECT_EQ(job.name(), "");
  EXPECT_EQ(job.model().architecture(), "LlamaForCausalLM");
  EXPECT_EQ(List(server, {}).quantization_jobs_size(), 0);
}

TEST(JobsTest, TheSameRequestIdAnswersWithTheSameJob) {
  TestServer server;
  auto request = server.SmallJob();
  request.set_request_id("once");
  const QuantizationJob first = server.Create(request);
  EXPECT_EQ(server.Create(request).name(), first.name());
  EXPECT_EQ(List(server, {}).quantization_jobs_size(), 1);
}

TEST(JobsTest, ARequestIdWithAnotherBodyAlreadyExists) {
  TestServer server;
  auto request = server.SmallJob();
  request.set_request_id("once");
  server.Create(request);
  request.mutable_quantization_job()->mutable_spec()->set_seed(7);
  const grpc::Status status = TryCreate(server, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(WireReason(status), "REQUEST_ID_REUSED");
}

TEST(JobsTest, AnOptionOutOfRangeIsNamedByItsField) {
  TestServer server;
  auto request = server.SmallJob();
  request.mutable_quantization_job()->mutable_spec()->mutable_pt2llm()->set_group_size(-1);
  const grpc::Status status = TryCreate(server, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireReason(status), "INVALID_FIELD");
  EXPECT_EQ(WireFields(status), "quantization_job.spec.pt2llm.group_size");
}

TEST(JobsTest, APathOutsideTheInputRootsIsDenied) {
  TempDir elsewhere;
  JobsOptions options;
  options.input_roots = {elsewhere.path()};
  TestServer server(options);
  const grpc::Status status = TryCreate(server, server.SmallJob());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(WireReason(status), "PATH_NOT_ALLOWED");
}

TEST(JobsTest, AModelThatIsNotThereIsNotFound) {
  TestServer server;
  auto request = server.SmallJob();
  request.mutable_quantization_job()->mutable_spec()->set_model("/nowhere/model");
  const grpc::Status status = TryCreate(server, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(WireReason(status), "INPUT_NOT_FOUND");
}

TEST(JobsTest, AnErrorWithALongMessageKeepsItsCode) {
  TestServer server;
  auto request = server.SmallJob();
  std::string path;
  for (int i = 0; i < 20; ++i) path += "/" + std::string(200, 'p');
  request.mutable_quantization_job()->mutable_spec()->set_model(path);
  EXPECT_EQ(TryCreate(server, request).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(JobsTest, AnUnknownJobIsNotFound) {
  TestServer server;
  const grpc::Status status = TryGet(server, "namespaces/default/quantizationJobs/none");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(WireReason(status), "JOB_NOT_FOUND");
}

TEST(JobsTest, AMalformedNameIsInvalid) {
  TestServer server;
  const grpc::Status status = TryGet(server, "job 7");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "name");
}

TEST(JobsTest, ListGivesPagesNewestFirst) {
  TestServer server;
  std::string names[3];
  for (std::string& name : names) name = server.CreateSmallJob().name();

  v1::ListQuantizationJobsRequest request;
  request.set_page_size(2);
  const auto first = List(server, request);
  ASSERT_EQ(first.quantization_jobs_size(), 2);
  EXPECT_EQ(first.quantization_jobs(0).name(), names[2]);
  EXPECT_EQ(first.quantization_jobs(1).name(), names[1]);

  request.set_page_token(first.next_page_token());
  const auto second = List(server, request);
  ASSERT_EQ(second.quantization_jobs_size(), 1);
  EXPECT_EQ(second.quantization_jobs(0).name(), names[0]);
  EXPECT_EQ(second.next_page_token(), "");
}

TEST(JobsTest, ListFiltersByState) {
  TestServer server;
  const std::string cancelled = server.CreateSmallJob().name();
  server.CreateSmallJob();
  QuantizationJob job;
  ASSERT_TRUE(TryCancel(server, cancelled, job).ok());

  v1::ListQuantizationJobsRequest request;
  request.set_filter("state = CANCELLED");
  const auto response = List(server, request);
  ASSERT_EQ(response.quantization_jobs_size(), 1);
  EXPECT_EQ(response.quantization_jobs(0).name(), cancelled);
}

TEST(JobsTest, CancelIsIdempotent) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  QuantizationJob job;
  ASSERT_TRUE(TryCancel(server, name, job).ok());
  EXPECT_EQ(job.state(), QuantizationJob::CANCELLED);
  ASSERT_TRUE(TryCancel(server, name, job).ok());
  EXPECT_EQ(job.state(), QuantizationJob::CANCELLED);
}

TEST(JobsTest, ASucceededJobCannotBeCancelled) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  ASSERT_EQ(server.Get(name).state(), QuantizationJob::SUCCEEDED);
  QuantizationJob job;
  const grpc::Status status = TryCancel(server, name, job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(WireReason(status), "JOB_ENDED");
}

TEST(JobsTest, OnlyATerminalJobIsDeleted) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  const grpc::Status refused = TryDelete(server, name);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(WireReason(refused), "JOB_ACTIVE");

  QuantizationJob job;
  ASSERT_TRUE(TryCancel(server, name, job).ok());
  EXPECT_TRUE(TryDelete(server, name).ok());
  EXPECT_EQ(TryGet(server, name).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(JobsTest, AFinishedJobHasAReport) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  const QuantizationJob job = server.Get(name);
  EXPECT_EQ(job.state(), QuantizationJob::SUCCEEDED);
  EXPECT_EQ(job.report().blocks_size(), job.model().blocks());
  EXPECT_EQ(job.report().digest(), std::string(64, 'b'));
  EXPECT_EQ(job.progress().tasks_done(), job.progress().tasks_total());
}

TEST(JobsTest, APermanentFailureFailsTheJobWithItsError) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker worker(server.workers(), "w");
  worker::v1::SynchronizeResponse response;
  ASSERT_TRUE(worker.Fail(worker.NextTask().lease(), /*permanent=*/true, response).ok());
  const QuantizationJob job = server.Get(name);
  EXPECT_EQ(job.state(), QuantizationJob::FAILED);
  EXPECT_NE(job.error().message().find("made up"), std::string::npos) << job.error().message();
}

TEST(JobsTest, AMessageOfMoreThanFourMebibytesIsRefused) {
  TestServer server;
  auto request = server.SmallJob();
  request.set_request_id(std::string(size_t{4} << 20, 'x'));
  EXPECT_EQ(TryCreate(server, request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(JobsTest, ServerInfoSaysWhatIsTaken) {
  JobsOptions options;
  options.input_roots = {"/models"};
  TestServer server(options);
  v1::ServerInfo info;
  ASSERT_TRUE(
      Call(server, &v1::QuantizationService::Stub::GetServerInfo, v1::GetServerInfoRequest(), info)
          .ok());
  EXPECT_FALSE(info.version().empty());
  EXPECT_EQ(std::vector<std::string>(info.methods().begin(), info.methods().end()),
            (std::vector<std::string>{"pt2llm", "twla"}));
  ASSERT_EQ(info.architectures_size(), 4);
  EXPECT_EQ(info.architectures(0), "LlamaForCausalLM");
  ASSERT_EQ(info.input_roots_size(), 1);
  EXPECT_EQ(info.input_roots(0), "/models");
  EXPECT_TRUE(info.has_start_time());
}

TEST(JobsTest, ListWorkersTellsWhatEachHolds) {
  TestServer server;
  const std::string job = server.CreateSmallJob().name();
  ScriptedWorker worker(server.workers(), "w1");
  worker.NextTask();
  v1::ListWorkersResponse response;
  ASSERT_TRUE(
      Call(server, &v1::QuantizationService::Stub::ListWorkers, v1::ListWorkersRequest(), response)
          .ok());
  ASSERT_EQ(response.workers_size(), 1);
  EXPECT_EQ(response.workers(0).id(), "w1");
  EXPECT_EQ(response.workers(0).state(), v1::Worker::BUSY);
  EXPECT_EQ(response.workers(0).job(), job);
  EXPECT_EQ(response.workers(0).task(), "scan");
  EXPECT_TRUE(response.workers(0).has_last_seen());
}

}  // namespace
}  // namespace tern
