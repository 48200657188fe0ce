// Many threads at once: what API handlers do.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/jobs/events.h"
#include "server/jobs/job_files.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

TEST(SchedulerThreadsTest, WorkersWatchersAndMaintenanceGoOnAtTheSameTime) {
  JobsOptions options;
  options.scheduler.lease_duration = absl::Hours(24);  // time here passes by the loop
  JobWorld world(options);
  JobSystem& system = world.system();
  std::vector<std::string> jobs;
  std::vector<std::string> uids;
  for (int i = 0; i < 4; ++i) {
    v1::CreateQuantizationJobRequest request = world.Request();
    request.mutable_quantization_job()->mutable_spec()->set_shards(1 + i % 2);
    jobs.push_back(world.Create(request).name());
    uids.push_back(world.Record(jobs.back()).uid);
  }

  std::atomic<int> ended = 0;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int w = 0; w < 4; ++w) {
    threads.emplace_back([&, w] {
      FakeWorker worker(absl::StrCat("worker-", w));
      while (ended < static_cast<int>(jobs.size())) {
        if (!worker.busy()) {
          if (!worker.Idle(system).ok()) ++failures;
          if (!worker.busy()) absl::SleepFor(absl::Milliseconds(1));
          continue;
        }
        if (!worker.Report(system).ok() || !worker.Finish(system).ok()) ++failures;
      }
    });
  }
  for (const std::string& uid : uids) {
    threads.emplace_back([&, uid] {
      int64_t sequence = 0;
      bool done = false;
      while (!done) {
        std::atomic<bool> changed = false;
        const auto registration = system.job_signal().Once(uid, [&changed] { changed = true; });
        const auto page = ReadEvents(system.context(), uid, sequence, 3);
        if (!page.ok()) ++failures;
        for (const NumberedEvent& event : page->events) {
          if (event.sequence != ++sequence) ++failures;
        }
        done = page->ended;
        while (!done && page->events.empty() && !changed) absl::SleepFor(absl::Milliseconds(1));
      }
      ++ended;
    });
  }
  threads.emplace_back([&] {
    while (ended < static_cast<int>(jobs.size())) {
      world.clock().Advance(absl::Milliseconds(100));
      system.Maintain();
      for (const std::string& job : jobs) {
        if (!system.operations().GetProgress(job).ok()) ++failures;
      }
      if (!system.operations().CountTasks().ok()) ++failures;
    }
  });
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(failures, 0);
  for (const std::string& job : jobs) {
    EXPECT_EQ(world.Get(job).state(), v1::QuantizationJob::SUCCEEDED);
    EXPECT_EQ(world.Record(job).worker_deaths, 0);
  }
}

TEST(SchedulerThreadsTest, TheSameRequestAtTheSameTimeMakesOneJob) {
  JobWorld world;
  v1::CreateQuantizationJobRequest request = world.Request();
  request.set_request_id("once");
  std::vector<std::string> names(4);
  std::vector<std::thread> threads;
  for (std::string& name : names) {
    threads.emplace_back([&world, &request, &name] {
      const auto job = world.system().submission().Create(request);
      if (job.ok()) name = job->name();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& name : names) EXPECT_EQ(name, names[0]);
  EXPECT_NE(names[0], "");
  EXPECT_EQ(world.BlobKeys().size(), 1U);
}

}  // namespace
}  // namespace tern
