#include "worker/backend/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace tern {
namespace {

TEST(ThreadPoolTest, RunsEveryTaskOnceAndReturnsWhenAllAreDone) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    std::vector<int> runs(1000, 0);  // not atomic: each element has one writer
    pool.ParallelFor(1000, [&](int64_t i) { ++runs[i]; });
    EXPECT_EQ(runs, std::vector<int>(1000, 1)) << threads << " threads";
  }
}

TEST(ThreadPoolTest, NoTasksIsNoWork) {
  ThreadPool pool(2);
  pool.ParallelFor(0, [](int64_t) { FAIL(); });
}

TEST(ThreadPoolTest, OneThreadIsTheCaller) {
  ThreadPool pool(1);
  EXPECT_EQ(pool.threads(), 1);
  pool.ParallelFor(4, [caller = std::this_thread::get_id()](int64_t) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
}

TEST(ThreadPoolTest, ZeroThreadsMeansOneForEachCpu) {
  EXPECT_EQ(ThreadPool(0).threads(),
            std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
}

TEST(ThreadPoolTest, ALoopInsideATaskRunsOnItsThread) {
  ThreadPool pool(3);
  std::atomic<int> inner{0};
  pool.ParallelFor(10, [&](int64_t) {
    pool.ParallelFor(10, [&, outer = std::this_thread::get_id()](int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      ++inner;
    });
  });
  EXPECT_EQ(inner, 100);
}

TEST(ThreadPoolTest, ManyShortLoopsInARow) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<int64_t> parts(5, 0);
    pool.ParallelFor(5, [&](int64_t i) { parts[i] = i; });
    for (const int64_t part : parts) total += part;
  }
  EXPECT_EQ(total, 2000 * 10);
}

TEST(ThreadPoolTest, LoopsFromSeveralThreadsRunOneAfterTheOther) {
  ThreadPool pool(3);
  std::atomic<int> runs{0};
  std::vector<std::thread> callers;
  callers.reserve(4);
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) pool.ParallelFor(7, [&](int64_t) { ++runs; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(runs, 4 * 50 * 7);
}

}  // namespace
}  // namespace tern
