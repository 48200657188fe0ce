// tern-worker as scripts and orchestrators run it.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/end-to-end/running_service.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"
#include "worker/backend/device.h"

namespace tern {
namespace {

struct Ran {
  int exit_code;
  std::string output;  // stdout and stderr
};

Ran RunWorker(const std::string& arguments) {
  TempDir folder;
  const std::string output = folder.File("output");
  const int status = std::system(
      absl::StrCat(Program("tern-worker"), " ", arguments, " >", output, " 2>&1").c_str());
  std::ifstream file(output);
  return {WEXITSTATUS(status), std::string(std::istreambuf_iterator<char>(file), {})};
}

TEST(WorkerProgramTest, ABadCommandLineIsOneLineAndExitCodeTwo) {
  const std::string text = DataPath("sampled.txt");
  for (const auto& [arguments, named] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", "--server: must name"},
           {"--server=a", "--server: \"a\" is not HOST:PORT"},
           {"--server=a:1 --sever=b:1", "unknown flag --sever"},
           {"--server=a:1 --text=" + text, "--text: goes with tern-worker evaluate DIR"},
           {"--server=a:1 --threads=-1", "--threads: -1"},
           {"--server=a:1 --log-level=loud", "--log-level: \"loud\""},
           {"--server=a:1 --device=abacus", "abacus"},
           {"evaluate --text=" + text, "evaluate: must be followed by"},
           {"evaluate x", "--text: must name a file"},
           {"evaluate x --server=a:1 --text=" + text, "--server: does not go with evaluate"},
           {"evaluate /missing --text=" + text, "/missing"}}) {
    const Ran ran = RunWorker(arguments);
    EXPECT_EQ(ran.exit_code, 2) << arguments;
    EXPECT_TRUE(absl::StrContains(ran.output, named)) << arguments << ": " << ran.output;
    EXPECT_EQ(ran.output.find('\n'), ran.output.size() - 1) << ran.output;
  }
}

TEST(WorkerProgramTest, SaysHowManyCudaDevicesItSees) {
  const Ran ran = RunWorker("count-devices");
  EXPECT_EQ(ran.exit_code, 0);
  const int devices = CountCudaDevices();
  EXPECT_TRUE(absl::StartsWith(ran.output, absl::StrCat(devices, "\n"))) << ran.output;
  // Where there is none, a line says why.
  EXPECT_EQ(absl::StrContains(ran.output, "\ntern-worker: device \"cuda:0\": "), devices == 0)
      << ran.output;
}

TEST(WorkerProgramTest, AnIdleWorkerStopsAtOnce) {
  RunningService service({.own_workers = 1});
  EXPECT_EQ(service.StopOwnWorker(0).ToString(), "exit code 0");
}

TEST(WorkerProgramTest, AWorkerFinishesItsBlockBeforeItStops) {
  RunningService service({.own_workers = 1, .worker_arguments = "--drain-timeout=1h"});
  const std::string name = service.Submit(SmallJob(/*shards=*/1));
  service.AwaitBlockInWork(name);
  EXPECT_EQ(service.StopOwnWorker(0).ToString(), "exit code 0");
  EXPECT_EQ(service.Get(name).progress().blocks_done(), service.BlocksStarted());
}

TEST(WorkerProgramTest, AWorkerWithoutTimeGivesItsBlockBackAndNothingIsCounted) {
  RunningService service({.own_workers = 1, .worker_arguments = "--drain-timeout=0s"});
  v1::CreateQuantizationJobRequest request = SmallJob(/*shards=*/1);
  request.mutable_quantization_job()->mutable_spec()->mutable_calibration()->set_samples(128);
  const std::string name = service.Submit(request);
  service.AwaitBlockInWork(name);
  EXPECT_EQ(service.StopOwnWorker(0).ToString(), "exit code 0");
  service.StartOwnWorker(0);
  const v1::QuantizationJob job = service.AwaitEnd(name);
  EXPECT_EQ(job.state(), v1::QuantizationJob::SUCCEEDED) << job.error().message();
  EXPECT_EQ(job.report().failed_attempts(), 0);
  EXPECT_EQ(job.report().worker_deaths(), 0);
}

}  // namespace
}  // namespace tern
