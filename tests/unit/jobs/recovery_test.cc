#include "server/jobs/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/failing_blob_store.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::SizeIs;

TEST(RecoveryTest, AWorkerOfItsOwnCarriesOnThroughARestart) {
  JobWorld world;
  const std::string job = world.Create().name();
  FakeWorker worker("standalone");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  // Down for longer than the lease lasted.
  world.clock().Advance(absl::Minutes(5));
  world.Restart();
  world.system().Maintain();
  ASSERT_THAT(worker.Report(world.system()), IsOk());
  EXPECT_EQ(worker.task_name(), "scan");
  ASSERT_THAT(worker.Finish(world.system()), IsOk());
  EXPECT_EQ(worker.task_name(), "quantize/0");
  EXPECT_EQ(world.Record(job).worker_deaths, 0);
}

TEST(RecoveryTest, AWorkerThatIsNotHeardFromAfterARestartLosesItsTask) {
  JobWorld world;
  const std::string job = world.Create().name();
  FakeWorker worker("standalone");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  world.clock().Advance(absl::Minutes(5));
  world.Restart();
  world.clock().Advance(absl::Seconds(31));
  world.system().Maintain();
  EXPECT_EQ(world.Task(job, "scan").state, TaskState::kReady);
}

TEST(RecoveryTest, SupervisedWorkersDiedWithTheirServer) {
  JobWorld world;
  const std::string job = world.Create().name();
  FakeWorker worker("local", "supervisor");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  world.Restart();
  EXPECT_EQ(world.Task(job, "scan").state, TaskState::kReady);
  // The task did not make the server end.
  EXPECT_EQ(world.Task(job, "scan").worker_deaths, 0);
  EXPECT_EQ(world.Record(job).worker_deaths, 0);
  EXPECT_THAT(worker.Complete(world.system()), IsError(absl::StatusCode::kAborted, _));
}

TEST(RecoveryTest, UploadsOfALivingLeaseSurviveARestart) {
  JobWorld world;
  const std::string job = world.Create().name();
  FakeWorker worker("standalone");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  ASSERT_THAT(worker.Finish(world.system()), IsOk());
  ASSERT_THAT(worker.UploadFiles(world.system()), IsOk());
  world.Restart();
  ASSERT_THAT(worker.Complete(world.system()), IsOk());
  EXPECT_EQ(worker.task_name(), "quantize/1");
  EXPECT_THAT(world.Files(job), SizeIs(1));
}

TEST(RecoveryTest, BlobsThatNoRowNamesAreDeleted) {
  JobWorld world;
  const std::string job = world.Create().name();
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  ASSERT_THAT(worker.Finish(world.system()), IsOk());
  ASSERT_THAT(worker.UploadFiles(world.system()), IsOk());
  const auto before = world.BlobKeys();
  ASSERT_THAT(before, SizeIs(2));
  const std::string uid = world.Record(job).uid;
  for (const std::string& key : {"jobs/" + uid + "/quantize-0/e1/0123/tern-block-00000.safetensors",
                                 std::string("jobs/never-made/inputs/calibration.safetensors")}) {
    const auto writer = world.blobs().Write(key);
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Commit(), IsOk());
  }
  world.Restart();
  EXPECT_EQ(world.BlobKeys(), before);
}

TEST(RecoveryTest, AJobWhoseReportWasNotWrittenIsFinished) {
  bool crash = false;
  JobWorld world(JobsOptions(), {.store = nullptr, .blobs = [&crash](BlobStore& blobs) {
                                   return std::make_unique<FailingBlobStore>(
                                       blobs, [&crash](absl::string_view key) {
                                         if (crash && absl::StrContains(key, "manifest")) throw 1;
                                         return absl::OkStatus();
                                       });
                                 }});
  const std::string job = world.Create().name();
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  while (worker.task_name() != "assemble") ASSERT_THAT(worker.Finish(world.system()), IsOk());
  ASSERT_THAT(worker.UploadFiles(world.system()), IsOk());
  crash = true;
  EXPECT_ANY_THROW(worker.Complete(world.system()).IgnoreError());
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::RUNNING);
  crash = false;
  world.Restart();
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(world.BlobKeys().size(), world.Files(job).size());
}

TEST(RecoveryTest, RestartsOfTheServerAreNotHeldAgainstATask) {
  JobWorld world;
  const std::string job = world.Create().name();
  for (int i = 0; i < 30; ++i) {
    FakeWorker worker("local", "supervisor");
    ASSERT_THAT(worker.Idle(world.system()), IsOk());
    ASSERT_EQ(worker.task_name(), "scan");
    world.Restart();
  }
  ASSERT_TRUE(RunAll(world.system()));
  EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::SUCCEEDED);
  EXPECT_EQ(world.Record(job).worker_deaths, 0);
}

}  // namespace
}  // namespace tern
