#include "server/jobs/progress.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

JobRecord RunningJob() {
  JobRecord job;
  job.state = JobState::kRunning;
  job.start_time = kStart;
  job.tasks_total = 6;
  job.tasks_done = 1;
  job.blocks_total = 4;
  job.cost_total = 100;
  job.cost_done = 20;
  return job;
}

WorkerInfo ActiveWorker(double cost, double fraction) {
  WorkerInfo worker;
  worker.id = "w";
  worker.activity = WorkerActivity{"uid", "name", "quantize/1", cost, "fit", fraction};
  return worker;
}

TEST(ProgressTest, TheFractionCountsDoneTasksByCost) {
  const v1::Progress progress = ComputeProgress(RunningJob(), {}, kStart + absl::Seconds(10));
  EXPECT_DOUBLE_EQ(progress.fraction(), 0.2);
  EXPECT_EQ(progress.tasks_done(), 1);
  EXPECT_EQ(progress.blocks_total(), 4);
}

TEST(ProgressTest, ActiveTasksCountByTheirOwnFraction) {
  const v1::Progress progress =
      ComputeProgress(RunningJob(), {ActiveWorker(40, 0.5)}, kStart + absl::Seconds(10));
  EXPECT_DOUBLE_EQ(progress.fraction(), 0.4);
  ASSERT_EQ(progress.active_size(), 1);
  EXPECT_EQ(progress.active(0).task(), "quantize/1");
}

TEST(ProgressTest, TellsOfWhatHadToBeDoneAgain) {
  JobRecord job = RunningJob();
  job.failed_attempts = 1;
  job.worker_deaths = 3;
  const v1::Progress progress = ComputeProgress(job, {}, kStart);
  EXPECT_EQ(progress.failed_attempts(), 1);
  EXPECT_EQ(progress.worker_deaths(), 3);
}

TEST(ProgressTest, TheTimeLeftIsThePaceSoFar) {
  const v1::Progress progress = ComputeProgress(RunningJob(), {}, kStart + absl::Seconds(10));
  EXPECT_EQ(progress.eta().seconds(), 40);
}

TEST(ProgressTest, NothingIsSaidOfTheTimeLeftBeforeThereIsAPace) {
  JobRecord job = RunningJob();
  job.cost_done = 0;
  EXPECT_FALSE(ComputeProgress(job, {ActiveWorker(40, 0.04)}, kStart + absl::Seconds(1)).has_eta());
  EXPECT_TRUE(ComputeProgress(job, {ActiveWorker(40, 0.06)}, kStart + absl::Seconds(1)).has_eta());
}

TEST(ProgressTest, AnEndedJobHasNoActiveTasksAndSuccessIsOne) {
  JobRecord job = RunningJob();
  job.state = JobState::kCancelled;
  v1::Progress progress = ComputeProgress(job, {ActiveWorker(40, 0.5)}, kStart);
  EXPECT_EQ(progress.active_size(), 0);
  EXPECT_FALSE(progress.has_eta());
  EXPECT_DOUBLE_EQ(progress.fraction(), 0.2);
  job.state = JobState::kSucceeded;
  job.cost_done = 99.999;
  EXPECT_EQ(ComputeProgress(job, {}, kStart).fraction(), 1);
}

TEST(ProgressTest, AFractionOfMoreThanAllIsAll) {
  EXPECT_EQ(ComputeProgress(RunningJob(), {ActiveWorker(400, 1)}, kStart).fraction(), 1);
}

}  // namespace
}  // namespace tern
