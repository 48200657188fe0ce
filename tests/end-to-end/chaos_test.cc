// Processes are killed at random instants of a job. Whatever is killed and whenever, the job ends
// by itself with the bytes of an undisturbed run, and no more than the blocks in work are done
// again.
//
// TERN_CHAOS_KILLS is the number of instants for each of the tests (2 without it);
// TERN_CHAOS_SEED seeds them.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "checkpoint/manifest.h"
#include "tests/end-to-end/running_service.h"

namespace tern {
namespace {

constexpr int kShards = 2;
constexpr int kWorkers = 2;

int EnvironmentNumber(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::atoi(value) : otherwise;
}

struct Reference {
  std::map<std::string, FileDigest> files;
  absl::Duration duration;
};

Reference RunUndisturbed(const v1::CreateQuantizationJobRequest& request) {
  RunningService service({.local_workers = kWorkers});
  const absl::Time start = absl::Now();
  const v1::QuantizationJob job = service.AwaitEnd(service.Submit(request));
  EXPECT_EQ(job.state(), v1::QuantizationJob::SUCCEEDED) << job.error().message();
  EXPECT_EQ(service.BlocksStarted(), kSmallJobBlocks);
  const absl::Duration duration = absl::Now() - start;
  return Reference{service.DownloadedFiles(job.name()), duration};
}

// Undisturbed runs, each made once.
const Reference& Undisturbed() {
  static const Reference reference = RunUndisturbed(SmallJob(kShards));
  return reference;
}
const Reference& UndisturbedTwla() {
  static const Reference reference = RunUndisturbed(SmallTwlaJob(kShards));
  return reference;
}

class ChaosTest : public testing::Test {
 protected:
  // Runs one job for each instant, and does `kill` at it. At most `redone` blocks may be started
  // again.
  void KillAtRandomInstants(RunningService& service, int redone,
                            const std::function<void()>& kill) {
    KillAtRandomInstants(service, SmallJob(kShards), Undisturbed(), redone, kill);
  }

  void KillAtRandomInstants(RunningService& service,
                            const v1::CreateQuantizationJobRequest& request,
                            const Reference& reference, int redone,
                            const std::function<void()>& kill) {
    const int seed = EnvironmentNumber("TERN_CHAOS_SEED", 1);
    std::mt19937 random(static_cast<uint32_t>(seed));
    for (int i = 0; i < EnvironmentNumber("TERN_CHAOS_KILLS", 2); ++i) {
      const double share = std::uniform_real_distribution<double>(0, 1)(random);
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", kill " << i << ", at " << share
                                      << " of " << reference.duration);
      const int started_before = service.BlocksStarted();
      const std::string job_name = service.Submit(request);
      absl::SleepFor(share * reference.duration);
      kill();
      const v1::QuantizationJob job = service.AwaitEnd(job_name);
      ASSERT_EQ(job.state(), v1::QuantizationJob::SUCCEEDED) << job.error().message();
      EXPECT_EQ(service.DownloadedFiles(job_name), reference.files);
      EXPECT_EQ(job.report().failed_attempts(), 0);
      EXPECT_LE(service.BlocksStarted() - started_before, kSmallJobBlocks + redone);
    }
  }
};

TEST_F(ChaosTest, OneWorker) {
  RunningService service({.local_workers = kWorkers});
  KillAtRandomInstants(service, /*redone=*/1, [&] {
    service.AwaitWorkers(1);
    const std::vector<pid_t> workers = service.LocalWorkers();
    if (!workers.empty()) kill(workers.front(), SIGKILL);
  });
}

TEST_F(ChaosTest, AllWorkers) {
  RunningService service({.local_workers = kWorkers});
  KillAtRandomInstants(service, /*redone=*/kWorkers, [&] {
    for (const pid_t worker : service.LocalWorkers()) kill(worker, SIGKILL);
  });
}

TEST_F(ChaosTest, TheServerAndItsWorkers) {
  RunningService service({.local_workers = kWorkers});
  KillAtRandomInstants(service, /*redone=*/kWorkers, [&] {
    service.KillServer();
    service.StartServer();
  });
}

// Rotations, sensitivities and the choice of bits are lost and found again like blocks.
TEST_F(ChaosTest, AllWorkersOfATwlaJob) {
  RunningService service({.local_workers = kWorkers});
  KillAtRandomInstants(service, SmallTwlaJob(kShards), UndisturbedTwla(), /*redone=*/kWorkers, [&] {
    for (const pid_t worker : service.LocalWorkers()) kill(worker, SIGKILL);
  });
}

TEST_F(ChaosTest, TheServerAndItsWorkersOfATwlaJob) {
  RunningService service({.local_workers = kWorkers});
  KillAtRandomInstants(service, SmallTwlaJob(kShards), UndisturbedTwla(), /*redone=*/kWorkers, [&] {
    service.KillServer();
    service.StartServer();
  });
}

// Workers on other machines go on computing, and deliver what they have to the server that comes
// back: nothing at all is done again.
TEST_F(ChaosTest, TheServerAlone) {
  RunningService service({.own_workers = kWorkers});
  KillAtRandomInstants(service, /*redone=*/0, [&] {
    service.KillServer();
    service.StartServer();
  });
}

// A worker that no supervisor watches is missed when its lease runs out.
TEST_F(ChaosTest, AWorkerNobodyWatches) {
  RunningService service({.own_workers = kWorkers, .lease_seconds = 5});
  KillAtRandomInstants(service, /*redone=*/1, [&] {
    service.KillOwnWorker(0);
    service.StartOwnWorker(0);
  });
}

}  // namespace
}  // namespace tern
