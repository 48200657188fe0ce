#include "server/jobs/uploads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "proto/service/error_details.h"
#include "server/jobs/job_files.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/failing_blob_store.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using Header = worker::v1::WriteBlobRequest::Header;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class UploadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    job_ = world_.Create().name();
    ASSERT_THAT(worker_.Idle(world_.system()), IsOk());
    ASSERT_THAT(worker_.Finish(world_.system()), IsOk());
    ASSERT_EQ(worker_.task_name(), "quantize/0");
    blobs_before_ = world_.BlobKeys();
  }
  Header HeaderOf(const std::string& path, const std::string& content) const {
    Header header;
    *header.mutable_lease() = worker_.task().lease();
    header.set_path(path);
    header.set_size_bytes(static_cast<int64_t>(content.size()));
    header.set_sha256(Sha256Hex(content));
    return header;
  }
  absl::Status Send(const std::string& path, const std::string& content) {
    return UploadFile(world_.context(), worker_.task().lease(), path, content);
  }

  JobWorld world_;
  FakeWorker worker_{"w", "supervisor"};
  std::string job_;
  std::vector<std::string> blobs_before_;
};

TEST_F(UploadsTest, AnUploadBecomesPartOfTheCheckpointWithItsTask) {
  ASSERT_THAT(Send("tern-block-00000.safetensors", "content"), IsOk());
  EXPECT_TRUE(world_.Files(job_).empty());
  ASSERT_THAT(worker_.Complete(world_.system()), IsOk());
  ASSERT_EQ(world_.Files(job_).size(), 1U);
  EXPECT_EQ(world_.BlobContent(world_.Files(job_)[0].blob_key), "content");
}

TEST_F(UploadsTest, ASecondUploadOfAPathReplacesTheFirst) {
  ASSERT_THAT(Send("tern-block-00000.safetensors", "first"), IsOk());
  ASSERT_THAT(Send("tern-block-00000.safetensors", "second"), IsOk());
  EXPECT_EQ(world_.BlobKeys().size(), blobs_before_.size() + 1);
  ASSERT_THAT(worker_.Complete(world_.system()), IsOk());
  EXPECT_EQ(world_.BlobContent(world_.Files(job_)[0].blob_key), "second");
}

TEST_F(UploadsTest, AnAbandonedUploadLeavesNothing) {
  {
    const auto upload =
        Upload::Begin(world_.context(), HeaderOf("tern-block-00000.safetensors", "content"));
    ASSERT_THAT(upload, IsOk());
    ASSERT_THAT((*upload)->Append(Bytes("cont")), IsOk());
    EXPECT_EQ((*upload)->received(), 4);
  }
  EXPECT_EQ(world_.BlobKeys(), blobs_before_);
}

TEST_F(UploadsTest, AStaleLeaseIsRefusedAtTheBeginning) {
  Header header = HeaderOf("tern-block-00000.safetensors", "content");
  ASSERT_THAT(world_.scheduler().ExpireSupervised("supervisor"), IsOk());
  const auto upload = Upload::Begin(world_.context(), header);
  EXPECT_THAT(upload, IsError(absl::StatusCode::kAborted, _));
  EXPECT_EQ(ReasonOf(upload.status()), "STALE_LEASE");
  header.mutable_lease()->set_epoch(2);  // not given to anyone yet
  EXPECT_THAT(Upload::Begin(world_.context(), header), IsError(absl::StatusCode::kAborted, _));
  EXPECT_EQ(world_.observer().Counted("stale upload"), 2);
}

TEST_F(UploadsTest, ALeaseThatEndsDuringTheUploadIsRefusedAtTheEnd) {
  const auto upload =
      Upload::Begin(world_.context(), HeaderOf("tern-block-00000.safetensors", "content"));
  ASSERT_THAT(upload, IsOk());
  ASSERT_THAT((*upload)->Append(Bytes("content")), IsOk());
  ASSERT_THAT(world_.scheduler().ExpireSupervised("supervisor"), IsOk());
  FakeWorker other("other");
  ASSERT_THAT(other.Idle(world_.system()), IsOk());
  ASSERT_EQ(other.task_name(), "quantize/0");
  EXPECT_THAT((*upload)->Commit(), IsError(absl::StatusCode::kAborted, _));
  EXPECT_EQ(world_.BlobKeys(), blobs_before_);
}

TEST_F(UploadsTest, FilesOfALostLeaseAreRemoved) {
  ASSERT_THAT(Send("tern-block-00000.safetensors", "content"), IsOk());
  ASSERT_THAT(world_.scheduler().ExpireSupervised("supervisor"), IsOk());
  EXPECT_EQ(world_.BlobKeys(), blobs_before_);
}

TEST_F(UploadsTest, OtherBytesThanAnnouncedAreDataLoss) {
  const auto upload =
      Upload::Begin(world_.context(), HeaderOf("tern-block-00000.safetensors", "content"));
  ASSERT_THAT(upload, IsOk());
  ASSERT_THAT((*upload)->Append(Bytes("cOntent")), IsOk());
  EXPECT_THAT((*upload)->Commit(),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("tern-block-00000.safetensors")));
  EXPECT_EQ(world_.BlobKeys(), blobs_before_);
}

TEST_F(UploadsTest, MoreOrFewerBytesThanAnnouncedAreRefused) {
  auto upload = Upload::Begin(world_.context(), HeaderOf("x.bin", "content"));
  ASSERT_THAT(upload, IsOk());
  EXPECT_THAT((*upload)->Append(Bytes("contents")),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("announced 7 bytes")));
  upload = Upload::Begin(world_.context(), HeaderOf("x.bin", "content"));
  ASSERT_THAT(upload, IsOk());
  ASSERT_THAT((*upload)->Append(Bytes("con")), IsOk());
  EXPECT_THAT((*upload)->Commit(), IsError(absl::StatusCode::kInvalidArgument, HasSubstr("x.bin")));
}

TEST_F(UploadsTest, PathsThatAreNotTheWorkersToWriteAreRefused) {
  for (const char* const path :
       {"", "..", "../x", "a/b", "/etc/passwd", ".hidden", "tern-report.json", "tern-manifest.json",
        "README.md", "inputs/calibration.safetensors"}) {
    EXPECT_THAT(Upload::Begin(world_.context(), HeaderOf(path, "x")),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr("header.path")))
        << path;
  }
  Header header = HeaderOf("x.bin", "");
  header.set_size_bytes(-1);
  EXPECT_THAT(Upload::Begin(world_.context(), header),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("header.size_bytes")));
}

TEST_F(UploadsTest, AFileOfAnotherTaskIsNotOverwritten) {
  ASSERT_THAT(worker_.Finish(world_.system()), IsOk());
  ASSERT_EQ(worker_.task_name(), "quantize/1");
  EXPECT_THAT(Send("tern-block-00000.safetensors", "mine"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("another task")));
}

TEST_F(UploadsTest, AFileThatDoesNotFitIsRefusedBeforeItIsSent) {
  Header header = HeaderOf("x.bin", "");
  header.set_size_bytes(int64_t{1} << 60);
  const auto upload = Upload::Begin(world_.context(), header);
  EXPECT_THAT(upload, IsError(absl::StatusCode::kResourceExhausted, HasSubstr("disk")));
  EXPECT_EQ(ReasonOf(upload.status()), "DISK_FULL");
}

TEST(UploadsOnAFullDiskTest, TheUploadFailsAndLeavesNothing) {
  JobsOptions options;
  options.reserved_free_bytes = 0;
  JobWorld world(options, {.store = nullptr, .blobs = [](BlobStore& blobs) {
                             return std::make_unique<FailingBlobStore>(
                                 blobs, [](absl::string_view key) {
                                   return absl::EndsWith(key, "x.bin")
                                              ? absl::ResourceExhaustedError("no space left")
                                              : absl::OkStatus();
                                 });
                           }});
  world.Create();
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  const auto before = world.BlobKeys();
  EXPECT_THAT(UploadFile(world.context(), worker.task().lease(), "x.bin", "content"),
              IsError(absl::StatusCode::kResourceExhausted, HasSubstr("no space left")));
  EXPECT_EQ(world.BlobKeys(), before);
}

TEST(RotationUploadsTest, ATaskThatRotatesUploadsItsOneFile) {
  JobWorld world;
  FakeWorker worker("w");
  v1::CreateQuantizationJobRequest request = world.Request();
  request.mutable_quantization_job()->mutable_spec()->mutable_twla();
  const std::string job = world.Create(request).name();
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  ASSERT_THAT(worker.Finish(world.system()), IsOk());
  ASSERT_EQ(worker.task_name(), "rotate/0");
  const auto send = [&](const std::string& path) {
    return UploadFile(world.context(), worker.task().lease(), path, "factors");
  };
  EXPECT_THAT(send("rotations/00001.safetensors"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("rotate/0")));
  EXPECT_THAT(send("tern-block-00000.safetensors"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("rotate/0")));
  ASSERT_THAT(send("rotations/00000.safetensors"), IsOk());
  ASSERT_THAT(worker.Complete(world.system()), IsOk());
  // Workers can read it; it is not part of the checkpoint.
  EXPECT_TRUE(world.Files(job).empty());
  const auto file =
      OpenJobFile(world.context(), world.Record(job).uid, "rotations/00000.safetensors");
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(file->index, 0);
  EXPECT_EQ(file->size, 7);

  ASSERT_EQ(worker.task_name(), "quantize/0");
  EXPECT_THAT(send("rotations/00001.safetensors"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("plain file name")));
}

}  // namespace
}  // namespace tern
