#include "server/api/pump.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "server/api/executor.h"

namespace tern {
namespace {

TEST(ExecutorTest, FinishesAllWorkBeforeItGoes) {
  constexpr int kWork = 1000;
  std::atomic<int> done = 0;
  {
    Executor executor(4);
    for (int i = 0; i < kWork; ++i) executor.Run([&done] { ++done; });
  }
  EXPECT_EQ(done, kWork);
}

// `steps` and `seen` are plain: overlapping steps would race.
TEST(PumpTest, StepsNeverOverlapAndNoWakeIsLost) {
  constexpr int kThreads = 4;
  constexpr int kWakes = 5000;
  std::atomic<int> wanted = 0;
  int steps = 0;
  int seen = 0;
  {
    Executor executor(4);
    const auto pump = std::make_shared<Pump>(executor, [&] {
      ++steps;
      seen = wanted;
    });
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int wake = 0; wake < kWakes; ++wake) {
          ++wanted;
          pump->Wake();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(seen, kThreads * kWakes);
  EXPECT_LE(steps, kThreads * kWakes);
}

TEST(PumpTest, AWakeDuringAStepIsFollowedByAnother) {
  int steps = 0;
  {
    Executor executor(2);
    std::shared_ptr<Pump> pump;
    pump = std::make_shared<Pump>(executor, [&] {
      if (++steps < 3) pump->Wake();
    });
    pump->Wake();
    while (pump.use_count() > 1) absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(steps, 3);
}

TEST(PumpTest, NoStepFollowsStop) {
  int steps = 0;
  {
    Executor executor(2);
    std::shared_ptr<Pump> pump;
    pump = std::make_shared<Pump>(executor, [&] {
      ++steps;
      pump->Wake();
      pump->Stop();
      pump->Wake();
    });
    pump->Wake();
    while (pump.use_count() > 1) absl::SleepFor(absl::Milliseconds(1));
    pump->Wake();
  }
  EXPECT_EQ(steps, 1);
}

TEST(PumpTest, AWakerMayOutliveItsPump) {
  Executor executor(1);
  std::function<void()> waker;
  {
    const auto pump = std::make_shared<Pump>(executor, [] { FAIL() << "the pump is gone"; });
    waker = pump->Waker();
  }
  waker();
}

}  // namespace
}  // namespace tern
