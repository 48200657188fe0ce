#include "worker/agent/block_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <thread>
#include <utility>

namespace tern {
namespace {

const BlockAhead::Key kBlock = {"job", 1, 5};

absl::StatusOr<ComputedBlock> WithSeconds(double seconds) {
  ComputedBlock computed;
  computed.seconds["load"] = seconds;
  return computed;
}

// Ends when it is stopped.
absl::StatusOr<ComputedBlock> Endless(TaskProgress& progress) {
  while (!progress.stopped()) std::this_thread::yield();
  return absl::CancelledError("stopped");
}

TEST(BlockAheadTest, WhatWasStartedIsHandedOver) {
  BlockAhead ahead;
  ahead.Start(kBlock, [](TaskProgress&) { return WithSeconds(3); });
  TaskProgress progress;
  const auto computed = ahead.Take(kBlock, progress);
  ASSERT_TRUE(computed.has_value());
  ASSERT_TRUE(computed->ok());
  EXPECT_EQ((*computed)->seconds.at("load"), 3);
  EXPECT_FALSE(ahead.Take(kBlock, progress).has_value()) << "once";
}

TEST(BlockAheadTest, AnErrorIsHandedOverToo) {
  BlockAhead ahead;
  ahead.Start(kBlock, [](TaskProgress&) { return absl::ResourceExhaustedError("memory"); });
  TaskProgress progress;
  const auto computed = ahead.Take(kBlock, progress);
  ASSERT_TRUE(computed.has_value());
  EXPECT_EQ(computed->status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(BlockAheadTest, AnotherBlockStopsAndDropsIt) {
  for (const BlockAhead::Key& other :
       {BlockAhead::Key{"job", 1, 6}, {"job", 2, 5}, {"another job", 1, 5}}) {
    BlockAhead ahead;
    ahead.Start(kBlock, Endless);
    TaskProgress progress;
    EXPECT_FALSE(ahead.Take(other, progress).has_value());
    EXPECT_TRUE(ahead.Warm().empty());
  }
}

TEST(BlockAheadTest, DroppingStopsItAndWaits) {
  BlockAhead ahead;
  std::atomic<bool> ended{false};
  ahead.Start(kBlock, [&](TaskProgress& progress) {
    auto result = Endless(progress);
    ended = true;
    return result;
  });
  ahead.Drop();
  EXPECT_TRUE(ended);
}

TEST(BlockAheadTest, StoppingTheTaskThatWaitsStopsIt) {
  BlockAhead ahead;
  ahead.Start(kBlock, Endless);
  TaskProgress progress;
  progress.Stop();
  const auto computed = ahead.Take(kBlock, progress);
  ASSERT_TRUE(computed.has_value());
  EXPECT_EQ(computed->status().code(), absl::StatusCode::kCancelled);
}

TEST(BlockAheadTest, TheTaskThatWaitsShowsHowFarItIs) {
  BlockAhead ahead;
  std::atomic<bool> seen{false};
  ahead.Start(kBlock, [&](TaskProgress& progress) {
    progress.Show("fit", 0.5);
    while (!seen) std::this_thread::yield();
    return WithSeconds(0);
  });
  TaskProgress progress;
  std::thread watcher([&] {
    while (progress.snapshot().fraction < 0.5) std::this_thread::yield();
    seen = true;
  });
  EXPECT_TRUE(ahead.Take(kBlock, progress).has_value());
  watcher.join();
  EXPECT_EQ(progress.snapshot().stage, "fit");
}

TEST(BlockAheadTest, AStateAloneIsHandedOverToItsBlockOnly) {
  BlockAhead ahead;
  CalibrationState state;
  state.next_block = 5;
  ahead.Hold(kBlock, std::move(state));
  ASSERT_EQ(ahead.Warm().size(), 1U);
  EXPECT_EQ(ahead.Warm()[0].next_block(), 5);
  TaskProgress progress;
  EXPECT_FALSE(ahead.Take(kBlock, progress).has_value()) << "nothing was computed";
  EXPECT_FALSE(ahead.TakeState({"job", 1, 6}).has_value());
  const auto held = ahead.TakeState(kBlock);
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->next_block, 5);
  EXPECT_TRUE(ahead.Warm().empty());
  EXPECT_FALSE(ahead.TakeState(kBlock).has_value()) << "once";
}

TEST(BlockAheadTest, StoppingWorkLeavesAStateThatIsHeld) {
  BlockAhead ahead;
  ahead.Start(kBlock, Endless);
  ahead.StopWork();
  EXPECT_TRUE(ahead.Warm().empty());
  ahead.Hold(kBlock, CalibrationState());
  ahead.StopWork();
  EXPECT_TRUE(ahead.TakeState(kBlock).has_value());
}

TEST(BlockAheadTest, AnotherBlocksTaskDropsAStateThatIsHeld) {
  BlockAhead ahead;
  ahead.Hold(kBlock, CalibrationState());
  TaskProgress progress;
  EXPECT_FALSE(ahead.Take({"job", 1, 6}, progress).has_value());
  EXPECT_TRUE(ahead.Warm().empty());
}

TEST(BlockAheadTest, WhatTheWorkThrowsIsThrownOnceAndLeavesNothing) {
  BlockAhead ahead;
  ahead.Start(kBlock,
              [](TaskProgress&) -> absl::StatusOr<ComputedBlock> { throw std::bad_alloc(); });
  TaskProgress progress;
  EXPECT_THROW(ahead.Take(kBlock, progress).has_value(), std::bad_alloc);
  EXPECT_FALSE(ahead.Take(kBlock, progress).has_value());
}

TEST(BlockAheadTest, TheServerIsToldOfTheShard) {
  BlockAhead ahead;
  EXPECT_TRUE(ahead.Warm().empty());
  ahead.Start(kBlock, Endless);
  const auto warm = ahead.Warm();
  ASSERT_EQ(warm.size(), 1U);
  EXPECT_EQ(warm[0].job_uid(), "job");
  EXPECT_EQ(warm[0].shard(), 1);
  EXPECT_EQ(warm[0].next_block(), 5);
}

}  // namespace
}  // namespace tern
