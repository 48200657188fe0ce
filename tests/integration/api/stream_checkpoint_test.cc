#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/digest.h"
#include "proto/service/chunks.h"
#include "tests/integration/api/scripted_worker.h"
#include "tests/integration/api/test_server.h"

namespace tern {
namespace {

using v1::StreamCheckpointResponse;

// An open StreamCheckpoint.
class Download {
 public:
  Download(v1::QuantizationService::Stub& stub, const std::string& name, int64_t file_index = 0,
           int64_t offset = 0) {
    SetTestDeadline(context_);
    v1::StreamCheckpointRequest request;
    request.set_name(name);
    request.set_file_index(file_index);
    request.set_offset(offset);
    reader_ = stub.StreamCheckpoint(&context_, request);
  }

  bool Next(StreamCheckpointResponse& response) { return reader_->Read(&response); }
  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<StreamCheckpointResponse>> reader_;
};

// What a client has of a checkpoint; checks that pieces fit each other.
class Received {
 public:
  void Take(const StreamCheckpointResponse& piece) {
    const auto data =
        std::span(reinterpret_cast<const uint8_t*>(piece.data().data()), piece.data().size());
    EXPECT_LE(static_cast<int64_t>(data.size()), kChunkBytes);
    EXPECT_EQ(Crc32c(data), piece.crc32c());
    auto& [file, content] = files_[piece.file().index()];
    file = piece.file();
    EXPECT_EQ(piece.offset(), static_cast<int64_t>(content.size()));
    content += piece.data();
    last_index_ = piece.file().index();
  }

  // Where to resume: in the last file that was seen.
  int64_t file_index() const { return last_index_; }
  int64_t offset() const {
    return last_index_ == 0 ? 0 : static_cast<int64_t>(files_.at(last_index_).second.size());
  }
  // As if the last `bytes` of the last file had been lost on the way to the disk.
  void Forget(int64_t bytes) {
    if (last_index_ == 0) return;
    std::string& content = files_.at(last_index_).second;
    content.resize(content.size() - std::min(content.size(), static_cast<size_t>(bytes)));
  }

  void Verify() const {
    for (const auto& [index, file] : files_) {
      EXPECT_EQ(static_cast<int64_t>(file.second.size()), file.first.size_bytes());
      EXPECT_EQ(Sha256Hex(file.second), file.first.sha256()) << file.first.path();
    }
  }
  std::vector<std::string> Paths() const {
    std::vector<std::string> paths;
    for (const auto& [index, file] : files_) paths.push_back(file.first.path());
    return paths;
  }
  const std::string& Content(const std::string& path) const {
    for (const auto& [index, file] : files_) {
      if (file.first.path() == path) return file.second;
    }
    static const std::string none = "none";
    return none;
  }

 private:
  std::map<int64_t, std::pair<v1::CheckpointFile, std::string>> files_;
  int64_t last_index_ = 0;
};

std::string FinishedJob(TestServer& server) {
  std::string name = server.CreateSmallJob().name();
  ScriptedWorker(server.workers(), "w").WorkUntilIdle();
  return name;
}

TEST(StreamCheckpointTest, DeliversWhatWorkersUploadedAndTheReport) {
  TestServer server;
  const std::string name = FinishedJob(server);
  Download download(server.jobs(), name);
  Received received;
  for (StreamCheckpointResponse piece; download.Next(piece);) received.Take(piece);
  EXPECT_EQ(download.Finish().error_message(), "");
  received.Verify();

  worker::v1::Task block;
  block.mutable_quantize()->set_block(1);
  for (const auto& [path, content] : ScriptedWorker::FilesOf(block)) {
    EXPECT_TRUE(received.Content(path) == content) << path;
  }
  EXPECT_EQ(received.Paths().back(), "tern-report.json");
}

TEST(StreamCheckpointTest, AnEmptyFileIsOneEmptyPiece) {
  TestServer server;
  Download download(server.jobs(), FinishedJob(server));
  int empty_pieces = 0;
  for (StreamCheckpointResponse piece; download.Next(piece);) {
    if (piece.data().empty()) {
      ++empty_pieces;
      EXPECT_EQ(piece.file().size_bytes(), 0);
    }
  }
  EXPECT_EQ(empty_pieces, 1);
}

TEST(StreamCheckpointTest, FollowsARunningJob) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Download download(server.jobs(), name);

  ScriptedWorker worker(server.workers(), "w");
  worker::v1::SynchronizeResponse response;
  ASSERT_TRUE(worker.Finish(worker.NextTask(), response).ok());  // scan
  const worker::v1::Task block = response.execute().task();
  ASSERT_TRUE(worker.Finish(block, response).ok());

  // The first block's file comes while the rest of the job is still to be done.
  Received received;
  StreamCheckpointResponse piece;
  const int64_t size = static_cast<int64_t>(ScriptedWorker::FilesOf(block).begin()->second.size());
  while (received.offset() < size && download.Next(piece)) received.Take(piece);
  EXPECT_EQ(received.offset(), size);
  EXPECT_EQ(server.Get(name).state(), v1::QuantizationJob::RUNNING);

  worker.WorkUntilIdle();
  while (download.Next(piece)) received.Take(piece);
  EXPECT_EQ(download.Finish().error_message(), "");
  received.Verify();
  EXPECT_EQ(received.Paths().back(), "tern-report.json");
}

// A client that is cut off at random places, and has lost some of what it got, ends with the same
// bytes as one that never was.
TEST(StreamCheckpointTest, ResumesAtAnyByteOfAnyFile) {
  TestServer server;
  const std::string name = FinishedJob(server);
  Download whole(server.jobs(), name);
  Received expected;
  for (StreamCheckpointResponse piece; whole.Next(piece);) expected.Take(piece);

  std::mt19937 random(20);
  Received received;
  StreamCheckpointResponse piece;
  bool ended = false;
  for (int cuts = 0; !ended; ++cuts) {
    Download download(server.jobs(), name, received.file_index(), received.offset());
    const int pieces = cuts < 30 ? static_cast<int>(random() % 4) : 1 << 20;
    ended = true;
    for (int i = 0; download.Next(piece); ++i) {
      if (i == pieces) {
        ended = false;
        break;
      }
      received.Take(piece);
    }
    if (!ended) {
      download.Cancel();
      received.Forget(random() % 700'000);
    }
  }
  received.Verify();
  EXPECT_EQ(received.Paths(), expected.Paths());
}

TEST(StreamCheckpointTest, AResumeAtTheEndOfTheLastFileHasNothingToSend) {
  TestServer server;
  const std::string name = FinishedJob(server);
  Download whole(server.jobs(), name);
  Received received;
  for (StreamCheckpointResponse piece; whole.Next(piece);) received.Take(piece);

  Download download(server.jobs(), name, received.file_index(), received.offset());
  StreamCheckpointResponse piece;
  EXPECT_FALSE(download.Next(piece));
  EXPECT_EQ(download.Finish().error_message(), "");
}

TEST(StreamCheckpointTest, AnOffsetPastTheFileIsOutOfRange) {
  TestServer server;
  Download download(server.jobs(), FinishedJob(server), /*file_index=*/1, int64_t{1} << 40);
  const grpc::Status status = download.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(WireReason(status), "OFFSET_PAST_END");
  EXPECT_EQ(WireFields(status), "offset");
}

TEST(StreamCheckpointTest, AnOffsetWithoutAFileIsInvalid) {
  TestServer server;
  Download download(server.jobs(), FinishedJob(server), /*file_index=*/0, /*offset=*/5);
  const grpc::Status status = download.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(WireFields(status), "offset");
}

TEST(StreamCheckpointTest, IsAbortedWhenTheJobIsCancelled) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Download download(server.jobs(), name);
  grpc::ClientContext context;
  v1::CancelQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  ASSERT_TRUE(server.jobs().CancelQuantizationJob(&context, request, &job).ok());
  const grpc::Status status = download.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(WireReason(status), "JOB_CANCELLED");
}

TEST(StreamCheckpointTest, IsAbortedWhenTheJobFails) {
  TestServer server;
  const std::string name = server.CreateSmallJob().name();
  Download download(server.jobs(), name);
  ScriptedWorker worker(server.workers(), "w");
  worker::v1::SynchronizeResponse response;
  ASSERT_TRUE(worker.Fail(worker.NextTask().lease(), /*permanent=*/true, response).ok());
  const grpc::Status status = download.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(WireReason(status), "JOB_FAILED");
}

TEST(StreamCheckpointTest, AnUnknownJobIsNotFound) {
  TestServer server;
  Download download(server.jobs(), "namespaces/default/quantizationJobs/none");
  EXPECT_EQ(download.Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace tern
