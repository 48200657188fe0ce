#include "worker/agent/synchronizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "tests/unit/agent/scripted_server.h"
#include "worker/agent/server_channel.h"

namespace tern {
namespace {

using tern::worker::v1::SynchronizeRequest;
using tern::worker::v1::SynchronizeResponse;
using tern::worker::v1::WorkerService;

class SynchronizerTest : public testing::Test {
 protected:
  SynchronizerTest() : stub_(WorkerService::NewStub(OpenServerChannel(server_.address()))) {
    request_.mutable_worker()->set_id("worker-1");
    request_.mutable_idle();
  }

  absl::StatusOr<SynchronizeResponse> Call() {
    return synchronizer_.Synchronize(request_, absl::Minutes(1), cancel_.get_token());
  }

  // Answers when the caller has gone, or at the end of the test.
  void AnswerNobody() {
    server_.synchronize = [this](const SynchronizeRequest&, SynchronizeResponse&) {
      while (!done_) std::this_thread::yield();
      return grpc::Status::OK;
    };
  }

  ~SynchronizerTest() override { done_ = true; }

  std::atomic<bool> done_{false};
  ScriptedServer server_;
  std::unique_ptr<WorkerService::Stub> stub_;
  WorkerMetrics metrics_{"test"};
  GrpcSynchronizer synchronizer_{*stub_, metrics_};
  SynchronizeRequest request_;
  std::stop_source cancel_;
};

TEST_F(SynchronizerTest, CarriesRequestAndAnswer) {
  server_.synchronize = [](const SynchronizeRequest& request, SynchronizeResponse& response) {
    EXPECT_EQ(request.worker().id(), "worker-1");
    response.mutable_stop()->set_reason("cancelled");
    return grpc::Status::OK;
  };
  const auto answer = Call();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->stop().reason(), "cancelled");
}

TEST_F(SynchronizerTest, CancellingEndsAHeldCall) {
  AnswerNobody();
  std::thread canceller([this] {
    server_.WaitFor([](const auto&) { return true; });
    cancel_.request_stop();
  });
  EXPECT_EQ(Call().status().code(), absl::StatusCode::kCancelled);
  canceller.join();
}

TEST_F(SynchronizerTest, ACallCancelledBeforehandIsNotMade) {
  AnswerNobody();
  cancel_.request_stop();
  EXPECT_EQ(Call().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(SynchronizerTest, ASilentServerRunsIntoTheDeadline) {
  AnswerNobody();
  EXPECT_EQ(synchronizer_.Synchronize(request_, absl::Milliseconds(20), {}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SynchronizerTest, ReconnectsToAServerThatComesBack) {
  server_.synchronize = [](const SynchronizeRequest&, SynchronizeResponse& response) {
    response.mutable_idle();
    return grpc::Status::OK;
  };
  ASSERT_TRUE(Call().ok());
  server_.Stop();
  EXPECT_EQ(Call().status().code(), absl::StatusCode::kUnavailable);
  server_.Start();
  while (!Call().ok()) std::this_thread::yield();
}

}  // namespace
}  // namespace tern
