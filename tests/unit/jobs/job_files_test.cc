#include "server/jobs/job_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/service/error_details.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::HasSubstr;

class JobFilesTest : public ::testing::Test {
 protected:
  // Takes the job up to its second block.
  void FinishFirstBlock() {
    ASSERT_THAT(worker_.Idle(world_.system()), IsOk());
    ASSERT_THAT(worker_.Finish(world_.system()), IsOk());
    ASSERT_THAT(worker_.Finish(world_.system()), IsOk());
  }

  JobWorld world_;
  const std::string job_ = world_.Create().name();
  const std::string uid_ = world_.Record(job_).uid;
  FakeWorker worker_{"w"};
};

TEST_F(JobFilesTest, InputsAndCommittedFilesAreRead) {
  const auto input = OpenJobFile(world_.context(), uid_, "inputs/calibration.safetensors");
  ASSERT_THAT(input, IsOk());
  EXPECT_EQ(input->index, 0);
  EXPECT_EQ(input->size, input->blob->size());
  FinishFirstBlock();
  const auto block = OpenJobFile(world_.context(), uid_, "tern-block-00000.safetensors");
  ASSERT_THAT(block, IsOk());
  EXPECT_EQ(block->index, 1);
  EXPECT_EQ(block->sha256.size(), 64U);
}

TEST_F(JobFilesTest, WhatIsMissingIsNamed) {
  const auto file = OpenJobFile(world_.context(), uid_, "tern-block-00000.safetensors");
  EXPECT_THAT(file, IsError(absl::StatusCode::kNotFound, HasSubstr("tern-block-00000")));
  EXPECT_EQ(ReasonOf(file.status()), "FILE_NOT_FOUND");
  const auto job = OpenJobFile(world_.context(), "none", "x");
  EXPECT_THAT(job, IsError(absl::StatusCode::kNotFound, _));
  EXPECT_EQ(ReasonOf(job.status()), "JOB_NOT_FOUND");
}

TEST_F(JobFilesTest, AStreamFollowsARunningJobToItsEnd) {
  auto next = OpenNextFile(world_.context(), uid_, 0);
  ASSERT_THAT(next, IsOk());
  EXPECT_FALSE(next->file.has_value());
  EXPECT_FALSE(next->ended);

  FinishFirstBlock();
  next = OpenNextFile(world_.context(), uid_, 0);
  ASSERT_THAT(next, IsOk());
  ASSERT_TRUE(next->file.has_value());
  EXPECT_EQ(next->file->index, 1);
  EXPECT_EQ(next->file->path, "tern-block-00000.safetensors");
  next = OpenNextFile(world_.context(), uid_, 2);
  ASSERT_THAT(next, IsOk());
  EXPECT_FALSE(next->file.has_value());
  EXPECT_FALSE(next->ended);

  while (worker_.busy()) ASSERT_THAT(worker_.Finish(world_.system()), IsOk());
  int64_t index = 1;
  while (true) {
    next = OpenNextFile(world_.context(), uid_, index);
    ASSERT_THAT(next, IsOk());
    if (next->ended) break;
    ASSERT_TRUE(next->file.has_value());
    EXPECT_EQ(next->file->index, index++);
  }
  EXPECT_EQ(index - 1, static_cast<int64_t>(world_.Files(job_).size()));
}

TEST_F(JobFilesTest, AStreamOfAJobThatEndsOtherwiseIsAborted) {
  FinishFirstBlock();
  ASSERT_THAT(world_.operations().Cancel(job_), IsOk());
  const auto next = OpenNextFile(world_.context(), uid_, 1);
  EXPECT_THAT(next, IsError(absl::StatusCode::kAborted, HasSubstr("was cancelled")));
  EXPECT_EQ(ReasonOf(next.status()), "JOB_CANCELLED");

  const std::string failed = world_.Create().name();
  FakeWorker worker("x");
  ASSERT_THAT(worker.Idle(world_.system()), IsOk());
  ASSERT_THAT(worker.Fail(world_.system(), "no", /*permanent=*/true), IsOk());
  EXPECT_EQ(ReasonOf(OpenNextFile(world_.context(), world_.Record(failed).uid, 1).status()),
            "JOB_FAILED");
}

TEST_F(JobFilesTest, AnOpenFileStaysReadableWhenItsJobIsCancelled) {
  FinishFirstBlock();
  auto next = OpenNextFile(world_.context(), uid_, 1);
  ASSERT_THAT(next, IsOk());
  ASSERT_THAT(world_.operations().Cancel(job_), IsOk());
  EXPECT_TRUE(world_.BlobKeys().empty());
  std::vector<uint8_t> content(static_cast<size_t>(next->file->size));
  const auto read = next->file->blob->ReadAt(0, content);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(*read, next->file->size);
}

TEST_F(JobFilesTest, ALostBlobIsDataLoss) {
  FinishFirstBlock();
  ASSERT_THAT(world_.blobs().Delete(world_.Files(job_)[0].blob_key), IsOk());
  EXPECT_THAT(OpenNextFile(world_.context(), uid_, 1),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("tern-block-00000")));
}

TEST_F(JobFilesTest, NegativeIndexesAreRefused) {
  EXPECT_THAT(OpenNextFile(world_.context(), uid_, -1),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("file_index")));
}

}  // namespace
}  // namespace tern
