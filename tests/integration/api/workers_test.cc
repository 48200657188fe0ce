#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/digest.h"
#include "tests/integration/api/scripted_worker.h"
#include "tests/integration/api/test_server.h"

namespace tern {
namespace {

using worker::v1::SynchronizeResponse;
using worker::v1::Task;

void CancelJob(TestServer& server, const std::string& name) {
  grpc::ClientContext context;
  v1::CancelQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  ASSERT_TRUE(server.jobs().CancelQuantizationJob(&context, request, &job).ok());
}

// Waits until the server has heard from `count` workers.
void AwaitWorkers(TestServer& server, int count) {
  for (;;) {
    grpc::ClientContext context;
    v1::ListWorkersResponse response;
    ASSERT_TRUE(server.jobs().ListWorkers(&context, v1::ListWorkersRequest(), &response).ok());
    if (response.workers_size() >= count) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// Waits until the server's one worker is in this state.
void AwaitState(TestServer& server, v1::Worker::State state) {
  for (;;) {
    grpc::ClientContext context;
    v1::ListWorkersResponse response;
    ASSERT_TRUE(server.jobs().ListWorkers(&context, v1::ListWorkersRequest(), &response).ok());
    ASSERT_EQ(response.workers_size(), 1);
    if (response.workers(0).state() == state) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// All of a blob from `offset`.
grpc::Status Read(TestServer& server, const std::string& job_uid, const std::string& path,
                  int64_t offset, std::string& content, std::string& sha256) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  worker::v1::ReadBlobRequest request;
  request.set_job_uid(job_uid);
  request.set_path(path);
  request.set_offset(offset);
  const auto reader = server.workers().ReadBlob(&context, request);
  worker::v1::ReadBlobResponse piece;
  while (reader->Read(&piece)) {
    EXPECT_EQ(piece.offset(), offset + static_cast<int64_t>(content.size()));
    EXPECT_EQ(Crc32c({reinterpret_cast<const uint8_t*>(piece.data().data()), piece.data().size()}),
              piece.crc32c());
    content += piece.data();
    sha256 = piece.sha256();
  }
  return reader->Finish();
}

// Sends these messages as one upload.
grpc::Status Write(TestServer& server, const std::vector<worker::v1::WriteBlobRequest>& messages) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  worker::v1::WriteBlobResponse response;
  const auto writer = server.workers().WriteBlob(&context, &response);
  for (const auto& message : messages) {
    if (!writer->Write(message)) break;
  }
  writer->WritesDone();
  return writer->Finish();
}

TEST(SynchronizeTest, AHeldCallIsAnsweredWhenThereIsWork) {
  TestServer server;
  ScriptedWorker worker(server.workers(), "w");
  auto held = std::async(std::launch::async, [&] { return worker.NextTask(); });
  AwaitWorkers(server, 1);
  server.CreateSmallJob();
  EXPECT_TRUE(held.get().has_scan());
}

TEST(SynchronizeTest, AHeldCallIsAnsweredBeforeItsDeadline) {
  TestServer server;
  ScriptedWorker worker(server.workers(), "w");
  SynchronizeResponse response;
  const grpc::Status status = worker.Idle(response, absl::Seconds(2));
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.has_idle());
}

TEST(SynchronizeTest, ManyHeldCallsAreAnsweredAsTasksBecomeFree) {
  constexpr int kWorkers = 20;
  TestServer server;
  auto request = server.SmallJob();
  std::vector<std::future<bool>> held;
  held.reserve(kWorkers);
  for (int i = 0; i < kWorkers; ++i) {
    held.push_back(std::async(std::launch::async, [&server, i] {
      ScriptedWorker worker(server.workers(), "w" + std::to_string(i));
      SynchronizeResponse response;
      const grpc::Status status = worker.Idle(response, absl::Seconds(60));
      EXPECT_TRUE(status.ok()) << status.error_message();
      return response.has_execute();
    }));
  }
  AwaitWorkers(server, kWorkers);
  for (int i = 0; i < kWorkers; ++i) server.Create(request);
  for (auto& answer : held) EXPECT_TRUE(answer.get());
}

TEST(SynchronizeTest, ADrainingWorkerIsAnsweredAtOnceWithNothing) {
  TestServer server;
  server.CreateSmallJob();
  ScriptedWorker worker(server.workers(), "w");
  SynchronizeResponse response;
  ASSERT_TRUE(worker.Idle(response, absl::Seconds(60), /*draining=*/true).ok());
  EXPECT_TRUE(response.has_idle());
}

TEST(SynchronizeTest, CancellingAJobStopsItsWorker) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  ScriptedWorker worker(server.workers(), "w");
  const Task task = worker.NextTask();
  SynchronizeResponse response;
  ASSERT_TRUE(worker.Report(task.lease(), 0.1, response).ok());
  EXPECT_TRUE(response.has_continue_());
  CancelJob(server, name);
  ASSERT_TRUE(worker.Report(task.lease(), 0.2, response).ok());
  EXPECT_TRUE(response.has_stop());
}

TEST(SynchronizeTest, AMalformedRequestNamesItsField) {
  TestServer server;
  ScriptedWorker nameless(server.workers(), "");
  SynchronizeResponse response;
  const grpc::Status status = nameless.Idle(response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "worker.id");
}

TEST(SynchronizeTest, AnEndedWorkersTaskIsFreeAtOnce) {
  TestServer server;
  server.CreateSmallJob();
  ScriptedWorker first(server.workers(), "w1", "local-1");
  const Task lost = first.NextTask();
  ASSERT_TRUE(server.api().EndWorker("local-1").ok());

  ScriptedWorker second(server.workers(), "w2", "local-2");
  const Task again = second.NextTask();
  EXPECT_EQ(again.lease().task(), lost.lease().task());
  EXPECT_GT(again.lease().epoch(), lost.lease().epoch());
}

// The call may have been on its way when the process ended.
TEST(SynchronizeTest, ACallOfAWorkerThatHasEndedTakesNothing) {
  TestServer server;
  server.CreateSmallJob();
  ASSERT_TRUE(server.api().EndWorker("local-1").ok());
  ScriptedWorker ended(server.workers(), "w1", "local-1");
  SynchronizeResponse response;
  EXPECT_EQ(ended.Idle(response).error_code(), grpc::StatusCode::CANCELLED);

  ScriptedWorker second(server.workers(), "w2", "local-2");
  EXPECT_TRUE(second.NextTask().has_scan());
}

TEST(SynchronizeTest, AWorkerThatEndsWhileItsCallIsHeldIsForgotten) {
  TestServer server;
  ScriptedWorker worker(server.workers(), "w1", "local-1");
  SynchronizeResponse response;
  auto held = std::async(std::launch::async, [&] { return worker.Idle(response); });
  AwaitWorkers(server, 1);
  ASSERT_TRUE(server.api().EndWorker("local-1").ok());
  EXPECT_EQ(held.get().error_code(), grpc::StatusCode::CANCELLED);

  grpc::ClientContext context;
  v1::ListWorkersResponse workers;
  ASSERT_TRUE(server.jobs().ListWorkers(&context, v1::ListWorkersRequest(), &workers).ok());
  EXPECT_EQ(workers.workers_size(), 0);
}

TEST(SynchronizeTest, AnIdleWorkerWhoseConnectionBreaksIsLostUntilItCallsAgain) {
  TestServer server;
  grpc::ClientContext context;
  worker::v1::SynchronizeRequest request;
  request.mutable_worker()->set_id("w1");
  request.mutable_idle();
  SynchronizeResponse response;
  auto held = std::async(std::launch::async, [&] {
    return server.workers().Synchronize(&context, request, &response);
  });
  AwaitWorkers(server, 1);
  AwaitState(server, v1::Worker::IDLE);
  context.TryCancel();
  EXPECT_EQ(held.get().error_code(), grpc::StatusCode::CANCELLED);
  AwaitState(server, v1::Worker::LOST);

  auto again = std::async(std::launch::async, [&server] {
    SynchronizeResponse answer;
    return ScriptedWorker(server.workers(), "w1").Idle(answer, absl::Seconds(2));
  });
  AwaitState(server, v1::Worker::IDLE);
  EXPECT_TRUE(again.get().ok());
}

// A worker whose task has gone to another can change nothing.
class StaleLeaseTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.CreateSmallJob();
    SynchronizeResponse response;
    ASSERT_TRUE(first_.Finish(first_.NextTask(), response).ok());  // scan
    stale_ = response.execute().task();
    ASSERT_TRUE(stale_.has_quantize());
    ASSERT_TRUE(server_.api().EndWorker("local-1").ok());
    ASSERT_EQ(second_.NextTask().lease().task(), stale_.lease().task());
  }

  TestServer server_;
  ScriptedWorker first_{server_.workers(), "w1", "local-1"};
  ScriptedWorker second_{server_.workers(), "w2", "local-2"};
  Task stale_;
};

TEST_F(StaleLeaseTest, AReportIsAnsweredWithStop) {
  SynchronizeResponse response;
  ASSERT_TRUE(first_.Report(stale_.lease(), 0.9, response).ok());
  EXPECT_TRUE(response.has_stop());
}

TEST_F(StaleLeaseTest, AnUploadIsAborted) {
  const grpc::Status status = first_.Upload(stale_.lease(), "tern-block-00000.safetensors", "late");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(WireReason(status), "STALE_LEASE");
}

TEST_F(StaleLeaseTest, ACompletionIsAborted) {
  SynchronizeResponse response;
  const grpc::Status status = first_.Complete(stale_, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(WireReason(status), "STALE_LEASE");
}

TEST_F(StaleLeaseTest, AFailureIsAborted) {
  SynchronizeResponse response;
  const grpc::Status status = first_.Fail(stale_.lease(), /*permanent=*/true, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
}

class BlobTest : public testing::Test {
 protected:
  // A lease under which files can be uploaded.
  void SetUp() override {
    server_.CreateSmallJob();
    SynchronizeResponse response;
    ASSERT_TRUE(worker_.Finish(worker_.NextTask(), response).ok());  // scan
    task_ = response.execute().task();
    ASSERT_TRUE(task_.has_quantize());
  }

  TestServer server_;
  ScriptedWorker worker_{server_.workers(), "w"};
  Task task_;
  std::string content_;
  std::string sha256_;
};

TEST_F(BlobTest, InputsAreReadFromAnyOffset) {
  const std::string path = "inputs/calibration.safetensors";
  ASSERT_TRUE(Read(server_, task_.job_uid(), path, 0, content_, sha256_).ok());
  EXPECT_EQ(Sha256Hex(content_), sha256_);

  std::string tail;
  ASSERT_TRUE(Read(server_, task_.job_uid(), path, 100, tail, sha256_).ok());
  EXPECT_EQ(tail, content_.substr(100));
}

TEST_F(BlobTest, CommittedFilesAreReadAndUncommittedAreNot) {
  const auto files = ScriptedWorker::FilesOf(task_);
  const auto& [path, uploaded] = *files.begin();
  ASSERT_TRUE(worker_.Upload(task_.lease(), path, uploaded).ok());
  EXPECT_EQ(Read(server_, task_.job_uid(), path, 0, content_, sha256_).error_code(),
            grpc::StatusCode::NOT_FOUND);

  SynchronizeResponse response;
  ASSERT_TRUE(worker_.Complete(task_, response).ok());
  ASSERT_TRUE(Read(server_, task_.job_uid(), path, 0, content_, sha256_).ok());
  EXPECT_TRUE(content_ == uploaded);
}

TEST_F(BlobTest, AnUnknownBlobIsNotFound) {
  const grpc::Status status =
      Read(server_, task_.job_uid(), "inputs/none.safetensors", 0, content_, sha256_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(WireReason(status), "FILE_NOT_FOUND");
}

TEST_F(BlobTest, AReadPastTheEndIsOutOfRange) {
  const grpc::Status status = Read(server_, task_.job_uid(), "inputs/calibration.safetensors",
                                   int64_t{1} << 40, content_, sha256_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(WireReason(status), "OFFSET_PAST_END");
}

TEST_F(BlobTest, AnUploadBeginsWithItsHeader) {
  const grpc::Status status = Write(server_, {UploadPiece("data")});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "header");
}

TEST_F(BlobTest, AnEmptyUploadIsInvalid) {
  const grpc::Status status = Write(server_, {});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "header");
}

TEST_F(BlobTest, APieceThatDoesNotFitItsChecksumIsRefused) {
  auto piece = UploadPiece("data");
  piece.mutable_piece()->set_crc32c(piece.piece().crc32c() + 1);
  const grpc::Status status =
      Write(server_, {UploadHeader(task_.lease(), "tern-block-00000.safetensors", "data"), piece});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(WireReason(status), "CHECKSUM_MISMATCH");
}

TEST_F(BlobTest, AFileThatDoesNotFitItsDigestIsRefused) {
  const grpc::Status status = Write(
      server_,
      {UploadHeader(task_.lease(), "tern-block-00000.safetensors", "data"), UploadPiece("dada")});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
}

TEST_F(BlobTest, APieceOfMoreThanOneMebibyteIsRefused) {
  const std::string data((size_t{1} << 20) + 1, 'x');
  const grpc::Status status =
      Write(server_,
            {UploadHeader(task_.lease(), "tern-block-00000.safetensors", data), UploadPiece(data)});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "piece.data");
}

TEST_F(BlobTest, AnUploadIsCutOffWithoutATrace) {
  {
    grpc::ClientContext context;
    worker::v1::WriteBlobResponse response;
    const auto writer = server_.workers().WriteBlob(&context, &response);
    const std::string content(5000, 'x');
    ASSERT_TRUE(
        writer->Write(UploadHeader(task_.lease(), "tern-block-00000.safetensors", content)));
    ASSERT_TRUE(writer->Write(UploadPiece(content.substr(0, 1000))));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  // The lease is not harmed: the whole file is taken and the task completes.
  SynchronizeResponse response;
  EXPECT_TRUE(worker_.Finish(task_, response).ok());
}

TEST_F(BlobTest, ADrainingServerTakesResultsAndOffersNothing) {
  server_.api().Drain();
  SynchronizeResponse response;
  ASSERT_TRUE(worker_.Finish(task_, response).ok());
  EXPECT_TRUE(response.has_idle());
  ASSERT_TRUE(worker_.Idle(response, absl::Seconds(1)).ok());
  EXPECT_TRUE(response.has_idle());
}

}  // namespace
}  // namespace tern
