#include "worker/agent/blob_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/digest.h"
#include "proto/service/chunks.h"
#include "tests/unit/agent/blob_pieces.h"
#include "tests/unit/agent/scripted_server.h"
#include "worker/agent/server_channel.h"

namespace tern {
namespace {

using tern::worker::v1::Lease;
using tern::worker::v1::ReadBlobRequest;
using tern::worker::v1::ReadBlobResponse;
using tern::worker::v1::WorkerService;
using tern::worker::v1::WriteBlobRequest;

std::vector<uint8_t> Blob(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>((i * 2654435761U) >> 13);
  return bytes;
}

class BlobClientTest : public testing::Test {
 protected:
  BlobClientTest() : stub_(WorkerService::NewStub(OpenServerChannel(server_.address()))) {
    lease_.set_task("job/quantize/0");
    lease_.set_epoch(3);
  }

  absl::StatusOr<std::vector<uint8_t>> Read() {
    return client_.Read("job", "inputs/calibration.safetensors", stop_.get_token());
  }

  absl::Status Write(const std::vector<uint8_t>& blob) {
    const auto producer = [&](const ByteSink& sink) {
      // Uneven pieces, as file writers make them.
      for (size_t at = 0; at < blob.size(); at += 700'001) {
        const auto piece = std::span(blob).subspan(at, std::min<size_t>(700'001, blob.size() - at));
        if (absl::Status status = sink(piece); !status.ok()) return status;
      }
      return absl::OkStatus();
    };
    return client_.Write(lease_, "tern-block-00000.safetensors", producer, stop_.get_token());
  }

  ScriptedServer server_;
  std::unique_ptr<WorkerService::Stub> stub_;
  WorkerMetrics metrics_{"test"};
  BlobClient client_{
      *stub_,
      metrics_,
      {.first_retry = absl::Milliseconds(1), .longest_retry = absl::Milliseconds(5)}};
  Lease lease_;
  std::stop_source stop_;
};

TEST_F(BlobClientTest, ReadsAWholeBlob) {
  const auto blob = Blob(5'300);
  server_.read_blob = [&](const ReadBlobRequest& request, ScriptedServer::ReadWriter& writer) {
    EXPECT_EQ(request.job_uid(), "job");
    EXPECT_EQ(request.path(), "inputs/calibration.safetensors");
    return SendRest(blob, request.offset(), writer);
  };
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, blob);
}

TEST_F(BlobClientTest, ReadsAnEmptyBlob) {
  server_.read_blob = [](const ReadBlobRequest&, ScriptedServer::ReadWriter& writer) {
    writer.Write(Piece({}, 0, 0));
    return grpc::Status::OK;
  };
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->empty());
}

TEST_F(BlobClientTest, ResumesWhereAStreamBroke) {
  const auto blob = Blob(10'000);
  std::vector<int64_t> offsets;
  server_.read_blob = [&](const ReadBlobRequest& request, ScriptedServer::ReadWriter& writer) {
    offsets.push_back(request.offset());
    if (offsets.size() > 3) return SendRest(blob, request.offset(), writer);
    writer.Write(Piece(blob, request.offset(), 1000));
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
  };
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, blob);
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 1000, 2000, 3000}));
}

TEST_F(BlobClientTest, AsksAgainForAPieceWithAWrongChecksum) {
  const auto blob = Blob(4'000);
  std::vector<int64_t> offsets;
  server_.read_blob = [&](const ReadBlobRequest& request, ScriptedServer::ReadWriter& writer) {
    offsets.push_back(request.offset());
    if (offsets.size() > 1) return SendRest(blob, request.offset(), writer);
    writer.Write(Piece(blob, 0, 1000));
    ReadBlobResponse corrupt = Piece(blob, 1000, 1000);
    (*corrupt.mutable_data())[17] ^= 1;
    writer.Write(corrupt);
    return SendRest(blob, 2000, writer);
  };
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, blob);
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 1000}));
}

TEST_F(BlobClientTest, GivesUpOnAPieceThatStaysCorrupt) {
  const auto blob = Blob(1'000);
  int streams = 0;
  server_.read_blob = [&](const ReadBlobRequest&, ScriptedServer::ReadWriter& writer) {
    ++streams;
    ReadBlobResponse corrupt = Piece(blob, 0, 1000);
    corrupt.set_crc32c(corrupt.crc32c() ^ 1);
    writer.Write(corrupt);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(streams, 5);
}

TEST_F(BlobClientTest, AWrongDigestOfTheWholeIsDataLoss) {
  const auto blob = Blob(1'000);
  server_.read_blob = [&](const ReadBlobRequest&, ScriptedServer::ReadWriter& writer) {
    ReadBlobResponse piece = Piece(blob, 0, 1000);
    piece.set_sha256(std::string(64, '0'));
    writer.Write(piece);
    return grpc::Status::OK;
  };
  const auto status = Read().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("inputs/calibration.safetensors"), std::string::npos) << status;
}

TEST_F(BlobClientTest, AMissingBlobIsAnErrorAtOnce) {
  server_.read_blob = [](const ReadBlobRequest&, ScriptedServer::ReadWriter&) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such blob");
  };
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(BlobClientTest, StoppingEndsTheWaitForAServerThatIsAway) {
  server_.Stop();
  std::thread stopper([&] { stop_.request_stop(); });
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kCancelled);
  stopper.join();
}

TEST_F(BlobClientTest, WritesHeaderThenPiecesOfOneMebibyte) {
  const auto blob = Blob(2'500'000);
  Upload upload;
  server_.write_blob = [&](ScriptedServer::WriteReader& reader) {
    upload = Receive(reader);
    return grpc::Status::OK;
  };
  ASSERT_TRUE(Write(blob).ok());
  EXPECT_EQ(upload.header.lease().task(), "job/quantize/0");
  EXPECT_EQ(upload.header.lease().epoch(), 3);
  EXPECT_EQ(upload.header.path(), "tern-block-00000.safetensors");
  EXPECT_EQ(upload.header.size_bytes(), 2'500'000);
  EXPECT_EQ(upload.header.sha256(), Sha256Hex(blob));
  EXPECT_EQ(upload.pieces, (std::vector<size_t>{kChunkBytes, kChunkBytes, 402'848}));
  EXPECT_TRUE(upload.checksums_fit);
  EXPECT_EQ(upload.bytes, std::string(blob.begin(), blob.end()));
}

TEST_F(BlobClientTest, StartsAnUploadAgainWhenItBroke) {
  const auto blob = Blob(3'000'000);
  int uploads = 0;
  Upload upload;
  server_.write_blob = [&](ScriptedServer::WriteReader& reader) {
    if (++uploads == 1) {
      WriteBlobRequest request;
      reader.Read(&request);
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
    }
    upload = Receive(reader);
    return grpc::Status::OK;
  };
  ASSERT_TRUE(Write(blob).ok());
  EXPECT_EQ(uploads, 2);
  EXPECT_EQ(upload.bytes, std::string(blob.begin(), blob.end()));
}

TEST_F(BlobClientTest, AStaleLeaseEndsAnUploadAtOnce) {
  int uploads = 0;
  server_.write_blob = [&](ScriptedServer::WriteReader&) {
    ++uploads;
    return grpc::Status(grpc::StatusCode::ABORTED, "stale lease");
  };
  EXPECT_EQ(Write(Blob(3'000'000)).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(uploads, 1);
}

TEST_F(BlobClientTest, AFullDiskOfTheServerIsReported) {
  server_.write_blob = [](ScriptedServer::WriteReader& reader) {
    Receive(reader);
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "disk full");
  };
  EXPECT_EQ(Write(Blob(10)).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(BlobClientTest, AFileThatCannotBeMadeIsNotSent) {
  bool called = false;
  server_.write_blob = [&](ScriptedServer::WriteReader&) {
    called = true;
    return grpc::Status::OK;
  };
  const auto producer = [](const ByteSink&) { return absl::NotFoundError("config.json"); };
  EXPECT_EQ(client_.Write(lease_, "config.json", producer, {}).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace tern
