#include "server/jobs/change_signal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tern {
namespace {

TEST(ChangeSignalTest, ACallbackIsCalledOnceAtTheFirstNotify) {
  ChangeSignal signal;
  int calls = 0;
  const auto registration = signal.Once("job", [&] { ++calls; });
  EXPECT_EQ(calls, 0);
  signal.Notify("job");
  signal.Notify("job");
  EXPECT_EQ(calls, 1);
}

TEST(ChangeSignalTest, OtherKeysAreNotHeard) {
  ChangeSignal signal;
  int calls = 0;
  const auto registration = signal.Once("job", [&] { ++calls; });
  signal.Notify("another job");
  EXPECT_EQ(calls, 0);
}

TEST(ChangeSignalTest, AllWhoWaitAreCalled) {
  ChangeSignal signal;
  int calls = 0;
  const auto first = signal.Once("job", [&] { ++calls; });
  const auto second = signal.Once("job", [&] { ++calls; });
  signal.Notify("job");
  EXPECT_EQ(calls, 2);
}

TEST(ChangeSignalTest, ARegistrationThatEndedIsNotCalled) {
  ChangeSignal signal;
  int calls = 0;
  {
    const auto ended = signal.Once("job", [&] { ++calls; });
    auto moved = signal.Once("job", [&] { ++calls; });
    const auto kept = std::move(moved);
    moved = ChangeSignal::Registration();
  }
  signal.Notify("job");
  EXPECT_EQ(calls, 0);
}

TEST(ChangeSignalTest, ACallbackMayRegisterAgain) {
  ChangeSignal signal;
  int calls = 0;
  ChangeSignal::Registration registration;
  const std::function<void()> wait = [&] {
    registration = signal.Once("job", [&] {
      ++calls;
      wait();
    });
  };
  wait();
  signal.Notify("job");
  signal.Notify("job");
  EXPECT_EQ(calls, 2);
}

TEST(ChangeSignalTest, ARegistrationMayOutliveTheSignal) {
  ChangeSignal::Registration registration;
  {
    ChangeSignal signal;
    registration = signal.Once("job", [] {});
  }
  registration.Cancel();
}

TEST(ChangeSignalTest, ManyThreadsRegisterNotifyAndCancel) {
  ChangeSignal signal;
  const auto calls = std::make_shared<std::atomic<int>>(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&signal, calls, t] {
      const std::string key = t % 2 == 0 ? "even" : "odd";
      for (int i = 0; i < 500; ++i) {
        auto dropped = signal.Once(key, [calls] { ++*calls; });
        const auto registration = signal.Once(key, [calls] { ++*calls; });
        dropped.Cancel();
        signal.Notify(key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Every kept registration is notified by its own thread at the latest.
  EXPECT_GE(*calls, 4 * 500);
}

}  // namespace
}  // namespace tern
