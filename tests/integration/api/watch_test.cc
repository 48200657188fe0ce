#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/integration/api/scripted_worker.h"
#include "tests/integration/api/test_server.h"

namespace tern {
namespace {

using v1::QuantizationJob;
using v1::WatchQuantizationJobResponse;

// An open watch.
class Watch {
 public:
  Watch(v1::QuantizationService::Stub& stub, const std::string& name, int64_t after = 0) {
    SetTestDeadline(context_);
    v1::WatchQuantizationJobRequest request;
    request.set_name(name);
    request.set_after_sequence(after);
    reader_ = stub.WatchQuantizationJob(&context_, request);
  }

  bool Next(WatchQuantizationJobResponse& response) { return reader_->Read(&response); }
  // The next message that is no progress.
  bool NextKept(WatchQuantizationJobResponse& response) {
    while (Next(response)) {
      if (!response.has_progress()) return true;
    }
    return false;
  }
  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<WatchQuantizationJobResponse>> reader_;
};

// Snapshot and events until the stream ends.
std::vector<WatchQuantizationJobResponse> ReadAll(Watch& watch) {
  std::vector<WatchQuantizationJobResponse> responses;
  WatchQuantizationJobResponse response;
  while (watch.NextKept(response)) responses.push_back(response);
  return responses;
}

int ThreadsOfThisProcess() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    int threads = 0;
    if (absl::StartsWith(line, "Threads:") && absl::SimpleAtoi(line.substr(8), &threads)) {
      return threads;
    }
  }
  return -1;
}

TEST(WatchTest, BeginsWithASnapshotAndItsSequence) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Watch watch(server.jobs(), name);
  WatchQuantizationJobResponse response;
  ASSERT_TRUE(watch.Next(response));
  EXPECT_EQ(response.snapshot().name(), name);
  EXPECT_EQ(response.snapshot().state(), QuantizationJob::PENDING);
  watch.Cancel();
}

TEST(WatchTest, TellsThatNoWorkerIsConnectedWithoutBeingAskedAgain) {
  TestServer server;
  Watch watch(server.jobs(), server.CreateSmallJob().name());
  WatchQuantizationJobResponse response;
  // At first a server does not know which workers there are.
  while (watch.Next(response)) {
    if (response.progress().has_shortage()) break;
  }
  EXPECT_TRUE(response.progress().has_shortage());
  EXPECT_EQ(response.progress().shortage().workers(), 0);

  ScriptedWorker worker(server.workers(), "w");
  const worker::v1::Task task = worker.NextTask();
  while (watch.Next(response)) {
    if (response.has_progress() && !response.progress().has_shortage()) break;
  }
  EXPECT_FALSE(response.progress().has_shortage());
  watch.Cancel();
}

TEST(WatchTest, DeliversEveryEventInOrderUntilTheJobEnds) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Watch watch(server.jobs(), name);
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  const auto responses = ReadAll(watch);
  EXPECT_EQ(watch.Finish().error_message(), "");

  ASSERT_GT(responses.size(), 1U);
  int blocks = 0;
  for (size_t i = 1; i < responses.size(); ++i) {
    ASSERT_TRUE(responses[i].has_event());
    EXPECT_EQ(responses[i].sequence(), static_cast<int64_t>(i));
    blocks += responses[i].event().has_block_finished() ? 1 : 0;
  }
  EXPECT_EQ(blocks, responses[0].snapshot().model().blocks());
  EXPECT_EQ(responses.back().event().state_changed().state(), QuantizationJob::SUCCEEDED);
}

TEST(WatchTest, ResumesAfterAnySequence) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  Watch whole(server.jobs(), name);
  const auto all = ReadAll(whole);

  for (int64_t after = 0; after < static_cast<int64_t>(all.size()); ++after) {
    Watch watch(server.jobs(), name, after);
    const auto rest = ReadAll(watch);
    ASSERT_EQ(rest.size(), all.size() - static_cast<size_t>(after));
    for (size_t i = 1; i < rest.size(); ++i) {
      EXPECT_EQ(rest[i].SerializeAsString(),
                all[static_cast<size_t>(after) + i].SerializeAsString());
    }
  }
}

TEST(WatchTest, IsOutOfRangeOnceEventsAreDropped) {
  JobsOptions options;
  options.events_kept = 2;
  TestServer server(options);
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();

  Watch watch(server.jobs(), name, /*after=*/0);
  WatchQuantizationJobResponse response;
  EXPECT_FALSE(watch.Next(response));
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(WireReason(status), "EVENTS_DROPPED");

  google::rpc::Status proto;
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(proto.ParseFromString(status.error_details()));
  ASSERT_TRUE(proto.details(0).UnpackTo(&info));
  int64_t oldest = 0;
  ASSERT_TRUE(absl::SimpleAtoi(info.metadata().at("oldest_sequence"), &oldest));
  Watch from_oldest(server.jobs(), name, oldest - 1);
  EXPECT_GT(ReadAll(from_oldest).size(), 1U);
  EXPECT_EQ(from_oldest.Finish().error_message(), "");
}

TEST(WatchTest, ASequenceThatWasNeverReachedIsInvalid) {
  TestServer server;
  Watch watch(server.jobs(), server.CreateSmallJob().name(), /*after=*/1000);
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "after_sequence");
}

TEST(WatchTest, AnUnknownJobIsNotFound) {
  TestServer server;
  Watch watch(server.jobs(), "namespaces/default/quantizationJobs/none");
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(WireReason(status), "JOB_NOT_FOUND");
}

TEST(WatchTest, TellsHowFarARunningTaskIs) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker worker(server.workers(), "w");
  const worker::v1::Task task = worker.NextTask();
  worker::v1::SynchronizeResponse answer;
  ASSERT_TRUE(worker.Report(task.lease(), 0.5, answer).ok());

  Watch watch(server.jobs(), name);
  WatchQuantizationJobResponse response;
  while (watch.Next(response) && response.progress().active_size() == 0) {
  }
  ASSERT_TRUE(response.has_progress());
  EXPECT_EQ(response.sequence(), 0);
  EXPECT_EQ(response.progress().active(0).task(), "scan");
  EXPECT_EQ(response.progress().active(0).stage(), "forward");
  EXPECT_EQ(response.progress().active(0).fraction(), 0.5);

  // What is reported after a first progress is told too.
  ASSERT_TRUE(worker.Report(task.lease(), 0.75, answer).ok());
  ASSERT_TRUE(watch.Next(response));
  EXPECT_EQ(response.progress().active(0).fraction(), 0.75);
  watch.Cancel();
}

TEST(WatchTest, EndsWhenTheJobIsCancelled) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Watch watch(server.jobs(), name);
  WatchQuantizationJobResponse response;
  ASSERT_TRUE(watch.Next(response));

  grpc::ClientContext context;
  v1::CancelQuantizationJobRequest request;
  request.set_name(name);
  QuantizationJob job;
  ASSERT_TRUE(server.jobs().CancelQuantizationJob(&context, request, &job).ok());
  const auto rest = ReadAll(watch);
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest.back().event().state_changed().state(), QuantizationJob::CANCELLED);
  EXPECT_EQ(watch.Finish().error_message(), "");
}

// A thread for each watcher would show as 200 more.
TEST(WatchTest, TwoHundredWatchersTakeNoThreads) {
  constexpr int kWatchers = 200;
  constexpr int kAllowedThreads = 20;
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  WatchQuantizationJobResponse response;
  std::vector<std::unique_ptr<Watch>> watches;
  watches.push_back(std::make_unique<Watch>(server.jobs(), name));
  ASSERT_TRUE(watches.back()->Next(response));
  const int before = ThreadsOfThisProcess();
  while (watches.size() < kWatchers) {
    watches.push_back(std::make_unique<Watch>(server.jobs(), name));
    ASSERT_TRUE(watches.back()->Next(response));
  }
  EXPECT_LE(ThreadsOfThisProcess(), before + kAllowedThreads);

  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  EXPECT_LE(ThreadsOfThisProcess(), before + kAllowedThreads);
  for (const auto& watch : watches) {
    const auto rest = ReadAll(*watch);
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.back().event().state_changed().state(), QuantizationJob::SUCCEEDED);
    EXPECT_EQ(watch->Finish().error_message(), "");
  }
}

TEST(WatchTest, WatchersThatGoAwayDisturbNobody) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Watch stays(server.jobs(), name);
  for (int i = 0; i < 20; ++i) {
    Watch leaves(server.jobs(), name);
    WatchQuantizationJobResponse response;
    ASSERT_TRUE(leaves.Next(response));
    leaves.Cancel();
  }
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  const auto responses = ReadAll(stays);
  ASSERT_FALSE(responses.empty());
  EXPECT_EQ(responses.back().event().state_changed().state(), QuantizationJob::SUCCEEDED);
}

TEST(WatchTest, AServerThatStopsSaysUnavailable) {
  TestServer server;
  Watch watch(server.jobs(), server.CreateSmallJob().name());
  WatchQuantizationJobResponse response;
  ASSERT_TRUE(watch.Next(response));
  server.api().Stop(absl::Seconds(60));
  while (watch.Next(response)) {
  }
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(WireReason(status), "SERVER_STOPPING");
}

}  // namespace
}  // namespace tern
