#include "worker/agent/task_progress.h"

#include <gtest/gtest.h>

#include <thread>

namespace tern {
namespace {

TEST(TaskProgressTest, CountsTimeForTheStagesEnteredAndNoOthers) {
  TaskProgress progress;
  progress.EnterStage("load");
  progress.EnterStage("upload");
  progress.LeaveStage();
  progress.Show("fit", 0.5);
  const auto seconds = progress.seconds();
  EXPECT_EQ(seconds.size(), 2U);
  EXPECT_TRUE(seconds.contains("load"));
  EXPECT_TRUE(seconds.contains("upload"));
}

TEST(TaskProgressTest, AStageEnteredTwiceAddsUp) {
  TaskProgress progress;
  progress.EnterStage("load");
  progress.EnterStage("rebuild");
  const double first = progress.seconds().at("load");
  progress.EnterStage("load");
  while (progress.seconds().at("load") <= first) std::this_thread::yield();
}

TEST(TaskProgressTest, ShowsTheStageShownOrEnteredLast) {
  TaskProgress progress;
  progress.EnterStage("load");
  EXPECT_EQ(progress.snapshot().stage, "load");
  progress.Show("fit", 0.5);
  EXPECT_EQ(progress.snapshot().stage, "fit");
  EXPECT_EQ(progress.snapshot().fraction, 0.5);
}

TEST(TaskProgressTest, TheFractionNeverGoesBackNorPastOne) {
  TaskProgress progress;
  progress.Show(0.5);
  progress.Show(0.25);
  EXPECT_EQ(progress.snapshot().fraction, 0.5);
  progress.Show(1.5);
  EXPECT_EQ(progress.snapshot().fraction, 1.0);
}

TEST(TaskProgressTest, StoppingIsSeenByTheComputation) {
  TaskProgress progress;
  EXPECT_FALSE(progress.stopped());
  progress.Stop();
  EXPECT_TRUE(progress.stopped());
  EXPECT_TRUE(progress.stop_token().stop_requested());
}

}  // namespace
}  // namespace tern
