// A client whose connection breaks in the middle of a checkpoint, again and again.

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <string>

#include "checkpoint/digest.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/packed_digest.h"
#include "tests/end-to-end/running_service.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

// What has arrived so far, and where to go on.
struct Download {
  std::map<std::string, std::string> files;
  std::map<std::string, v1::CheckpointFile> expected;
  int64_t file_index = 0;
  int64_t offset = 0;
};

// Reads at most `pieces` pieces, then hangs up. True when the stream ended by itself.
bool ReadSome(RunningService& service, const std::string& job, int pieces, Download& download) {
  grpc::ClientContext context;
  v1::StreamCheckpointRequest request;
  request.set_name(job);
  request.set_file_index(download.file_index);
  request.set_offset(download.offset);
  const auto stream = service.stub().StreamCheckpoint(&context, request);
  v1::StreamCheckpointResponse piece;
  for (int i = 0; i < pieces; ++i) {
    if (!stream->Read(&piece)) return stream->Finish().ok();
    const std::string& data = piece.data();
    EXPECT_EQ(Crc32c({reinterpret_cast<const uint8_t*>(data.data()), data.size()}), piece.crc32c());
    std::string& file = download.files[piece.file().path()];
    EXPECT_EQ(piece.offset(), static_cast<int64_t>(file.size()));
    file += data;
    download.expected[piece.file().path()] = piece.file();
    const bool whole = static_cast<int64_t>(file.size()) == piece.file().size_bytes();
    download.file_index = piece.file().index() + (whole ? 1 : 0);
    download.offset = whole ? 0 : static_cast<int64_t>(file.size());
  }
  context.TryCancel();
  stream->Finish();
  return false;
}

TEST(StreamResumeTest, ACheckpointFetchedPieceByPieceVerifies) {
  RunningService service({.local_workers = 2});
  const std::string job = service.Submit(SmallJob(/*shards=*/1));
  // From while the job still runs on.
  Download download;
  while (!ReadSome(service, job, /*pieces=*/1, download)) {
  }
  TempDir folder;
  for (const auto& [path, bytes] : download.files) {
    EXPECT_EQ(Sha256Hex(bytes), download.expected.at(path).sha256()) << path;
    std::ofstream(folder.File(path), std::ios::binary) << bytes;
  }
  const auto checkpoint = PackedCheckpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE((*checkpoint)->Verify().ok()) << (*checkpoint)->Verify();
  EXPECT_EQ(PackedDigest(**checkpoint).value(), service.AwaitEnd(job).report().digest());
}

TEST(StreamResumeTest, AStreamGoesOnInTheMiddleOfAFileAfterTheServerWasKilled) {
  RunningService service({.local_workers = 2});
  const std::string job = service.Submit(SmallJob(/*shards=*/1));
  const v1::QuantizationJob ended = service.AwaitEnd(job);
  ASSERT_EQ(ended.state(), v1::QuantizationJob::SUCCEEDED) << ended.error().message();
  Download whole;
  while (!ReadSome(service, job, /*pieces=*/1000, whole)) {
  }
  service.KillServer();
  service.StartServer();
  service.Get(job);  // waits until it answers
  const auto& [path, file] = *whole.expected.begin();
  Download rest;
  rest.file_index = file.index();
  rest.offset = file.size_bytes() / 3;
  rest.files[path] = whole.files.at(path).substr(0, static_cast<size_t>(rest.offset));
  while (!ReadSome(service, job, /*pieces=*/1000, rest)) {
  }
  EXPECT_EQ(rest.files.at(path), whole.files.at(path));
}

}  // namespace
}  // namespace tern
