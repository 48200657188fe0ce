// Runs the program as a script would.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "proto/service/process_memory.h"
#include "server/data_folder.h"
#include "server/server_options.h"
#include "server/supervisor/child_process.h"
#include "server/supervisor/worker_devices.h"
#include "tests/integration/api/http_get.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class ServerProgramTest : public testing::Test {
 protected:
  // tern-server with these arguments; what it prints goes to the file "output".
  std::unique_ptr<ChildProcess> Start(const std::string& arguments) {
    return ChildProcess::Start({"/bin/sh", "-c",
                                absl::StrCat("exec ", TERN_SERVER_PROGRAM, " ", arguments, " >",
                                             folder_.File("output"), " 2>&1")})
        .value();
  }
  std::string Output() { return ReadAll(folder_.File("output")); }

  // Arguments of a server that serves, on free ports.
  std::string Serving() {
    return absl::StrCat("--listen=127.0.0.1:0 --metrics=127.0.0.1:0 --data=", folder_.File("data"),
                        " --port-file=", folder_.File("ports"));
  }
  // Where it serves; throws, which fails the test, when it does not within a minute.
  nlohmann::json AwaitPorts() {
    const absl::Time limit = absl::Now() + absl::Seconds(60);
    while (absl::Now() < limit) {
      if (const std::string text = ReadAll(folder_.File("ports")); !text.empty()) {
        return nlohmann::json::parse(text);
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    throw std::runtime_error("no port file; the server said: " + Output());
  }

  TempDir folder_;
};

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  return port;
}

TEST_F(ServerProgramTest, AnUnknownFlagIsOneLineAndExitCodeTwo) {
  EXPECT_EQ(Start("--data=x --lisen=127.0.0.1:1")->Wait().ToString(), "exit code 2");
  EXPECT_EQ(Output(), "tern-server: unknown flag --lisen: see --help\n");
}

TEST_F(ServerProgramTest, WithoutDataItDoesNotStart) {
  EXPECT_EQ(Start("--listen=127.0.0.1:0")->Wait().ToString(), "exit code 2");
  EXPECT_EQ(Output(), "tern-server: --data: must name a folder\n");
}

TEST_F(ServerProgramTest, InputRootsAreRequiredWhereOthersCanReachIt) {
  EXPECT_EQ(Start("--data=x --listen=0.0.0.0:0")->Wait().ToString(), "exit code 2");
  EXPECT_TRUE(absl::StartsWith(Output(), "tern-server: --input-roots: must name the folders"))
      << Output();
}

TEST_F(ServerProgramTest, AValueOutOfRangeNamesItsFlag) {
  EXPECT_EQ(Start("--data=x --lease-seconds 1")->Wait().ToString(), "exit code 2");
  EXPECT_EQ(Output(), "tern-server: --lease-seconds: 1 is not between 2 and 3600\n");
}

TEST_F(ServerProgramTest, EveryLocalWorkerNeedsAMetricsPort) {
  const std::string workers = "--data=x --local-workers=2 --worker-binary=/bin/true ";
  EXPECT_EQ(Start(workers + "--metrics=127.0.0.1:65534")->Wait().ToString(), "exit code 2");
  EXPECT_TRUE(absl::StartsWith(Output(), "tern-server: --local-worker-metrics-base: ")) << Output();
  EXPECT_TRUE(absl::StrContains(Output(), "from 65535 (after --metrics), end at 65536"))
      << Output();
  EXPECT_EQ(Start(workers + "--local-worker-metrics-base=65535")->Wait().exit_code, 2);
}

TEST_F(ServerProgramTest, AMissingWorkerProgramIsABadCommandLine) {
  EXPECT_EQ(Start("--data=x --local-workers=1 --worker-binary=/none/w")->Wait().exit_code, 2);
  EXPECT_TRUE(absl::StrContains(Output(), "/none/w")) << Output();
}

TEST_F(ServerProgramTest, LocalWorkersAreANumberOrAuto) {
  EXPECT_EQ(Start("--data=x --local-workers=many")->Wait().exit_code, 2);
  EXPECT_EQ(Output(), "tern-server: --local-workers: \"many\" is not a number or auto\n");
  // A program that does not say how many devices there are.
  EXPECT_EQ(Start("--data=x --local-workers=auto --worker-binary=/bin/true")->Wait().exit_code, 2);
  EXPECT_TRUE(absl::StrContains(Output(), "/bin/true count-devices did not say")) << Output();
}

TEST(WorkerDevicesTest, TheProgramSaysHowManyThereAre) {
  TempDir folder;
  const std::string program = folder.File("worker");
  std::ofstream(program) << "#!/bin/sh\n[ \"$*\" = count-devices ] && echo 3\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  EXPECT_EQ(CountCudaDevicesOf(program).value().count, 3);
  std::ofstream(program) << "#!/bin/sh\necho 0; echo 'tern-worker: no driver' >&2; echo more >&2\n";
  EXPECT_EQ(CountCudaDevicesOf(program).value().count, 0);
  EXPECT_EQ(CountCudaDevicesOf(program).value().said, "no driver");
  std::ofstream(program) << "#!/bin/sh\necho 3; exit 1\n";
  EXPECT_FALSE(CountCudaDevicesOf(program).ok()) << "it failed";
  EXPECT_FALSE(CountCudaDevicesOf("/missing/worker").ok());
}

TEST_F(ServerProgramTest, WorkersOnCudaThatFindNoDeviceAreABadCommandLine) {
  const std::string program = folder_.File("worker");
  const auto start = [&](const std::string& workers, const std::string& script) {
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return Start(absl::StrCat("--data=x --worker-device=cuda --local-workers=", workers,
                              " --worker-binary=", program))
        ->Wait()
        .exit_code;
  };
  for (const char* const workers : {"1", "auto"}) {
    EXPECT_EQ(start(workers, "echo 0; echo 'tern-worker: no driver' >&2"), 2);
    EXPECT_EQ(
        Output(),
        "tern-server: --worker-device: cuda, but the worker sees no CUDA device: no driver\n");
  }
  EXPECT_EQ(start("3", "echo 2"), 2);
  EXPECT_TRUE(absl::StrContains(Output(), "--local-workers: 3 workers on CUDA")) << Output();
}

TEST_F(ServerProgramTest, AutoWithoutADeviceSaysWhyItTakesTheCpu) {
  const std::string program = folder_.File("worker");
  std::ofstream(program) << "#!/bin/sh\n[ \"$*\" != count-devices ] && exec sleep 1000\n"
                         << "echo 0; echo 'tern-worker: no driver' >&2\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const auto server = Start(absl::StrCat(
      Serving(), " --local-workers=auto --drain-timeout=0s --worker-binary=", program));
  AwaitPorts();
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait().ToString(), "exit code 0");
  EXPECT_TRUE(
      absl::StrContains(Output(), "the local worker computes on the CPU\",\"reason\":\"no dri"))
      << Output();
}

TEST_F(ServerProgramTest, VersionAndHelpEndWithZero) {
  EXPECT_EQ(Start("--version")->Wait().ToString(), "exit code 0");
  EXPECT_EQ(Start("--help")->Wait().ToString(), "exit code 0");
  EXPECT_TRUE(absl::StrContains(Output(), "--local-workers")) << Output();
}

TEST_F(ServerProgramTest, ServesUntilItIsAskedToStop) {
  const auto server = Start(Serving());
  const nlohmann::json ports = AwaitPorts();
  const int metrics = PortOf(ports.at("metrics"));
  EXPECT_TRUE(absl::StrContains(HttpGet(metrics, "/metrics"), "tern_build_info{version="));
  EXPECT_TRUE(absl::StrContains(HttpGet(metrics, "/readyz"), " 200 "));
  EXPECT_TRUE(absl::StrContains(HttpGet(metrics, "/livez"), " 200 "));
  EXPECT_TRUE(absl::StrContains(
      Output(), absl::StrCat("listens on ", ports.at("listen").get<std::string>())));
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait().ToString(), "exit code 0");
}

TEST_F(ServerProgramTest, ASecondServerOnTheSameDataNamesTheFirst) {
  const auto server = Start(Serving());
  AwaitPorts();
  const std::string second = folder_.File("second");
  const auto other =
      ChildProcess::Start({"/bin/sh", "-c",
                           absl::StrCat("exec ", TERN_SERVER_PROGRAM, " --listen=127.0.0.1:0 ",
                                        "--metrics=127.0.0.1:0 --data=", folder_.File("data"), " >",
                                        second, " 2>&1")})
          .value();
  EXPECT_EQ(other->Wait().ToString(), "exit code 1");
  EXPECT_TRUE(absl::StrContains(ReadAll(second), absl::StrCat("process ", server->pid())))
      << ReadAll(second);
  server->Signal(SIGTERM);
  server->Wait();
}

TEST_F(ServerProgramTest, AnAddressInUseIsSaidClearly) {
  const auto server = Start(Serving());
  const std::string address = AwaitPorts().at("listen");
  const std::string second = folder_.File("second");
  const auto other =
      ChildProcess::Start({"/bin/sh", "-c",
                           absl::StrCat("exec ", TERN_SERVER_PROGRAM, " --listen=", address,
                                        " --metrics=127.0.0.1:0 --data=", folder_.File("data2"),
                                        " >", second, " 2>&1")})
          .value();
  EXPECT_EQ(other->Wait().ToString(), "exit code 1");
  EXPECT_TRUE(
      absl::StrContains(ReadAll(second), absl::StrCat("tern-server: cannot listen on ", address)))
      << ReadAll(second);
  server->Signal(SIGTERM);
  server->Wait();
}

TEST_F(ServerProgramTest, StartsLocalWorkersAndDrainsThem) {
  const std::string worker = folder_.File("worker.sh");
  std::ofstream(worker) << "#!/bin/sh\ntrap 'echo drained >>" << folder_.File("log")
                        << "; exit 0' TERM\necho \"$@\" >>" << folder_.File("log")
                        << "\nwhile :; do sleep 0.01; done\n";
  chmod(worker.c_str(), 0755);
  const auto server =
      Start(absl::StrCat(Serving(), " --local-workers=1 --worker-threads=3 --worker-memory=5000 ",
                         "--drain-timeout=30s --log-level=warning --worker-binary=", worker));
  const std::string address = AwaitPorts().at("listen");
  while (!absl::StrContains(ReadAll(folder_.File("log")), "\n")) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait().ToString(), "exit code 0");
  const std::string log = ReadAll(folder_.File("log"));
  EXPECT_TRUE(absl::StartsWith(
      log, absl::StrCat("--server=", address, " --metrics=127.0.0.1:0 --device=cpu --threads=3 ",
                        "--drain-timeout=27s --log-level=warning --memory=5000 --last-words=3 ",
                        "--supervisor=")))
      << log;
  EXPECT_TRUE(absl::EndsWith(log, "drained\n")) << log;
}

TEST_F(ServerProgramTest, LocalWorkersShareTheMemory) {
  const std::string worker = folder_.File("worker.sh");
  std::ofstream(worker) << "#!/bin/sh\necho \"$@\" >>" << folder_.File("log")
                        << "\nexec sleep 1000\n";
  chmod(worker.c_str(), 0755);
  const auto server = Start(
      absl::StrCat(Serving(), " --local-workers=3 --drain-timeout=0s --worker-binary=", worker));
  const auto lines = [&] {
    const std::string log = ReadAll(folder_.File("log"));
    return std::count(log.begin(), log.end(), '\n');
  };
  const absl::Time limit = absl::Now() + absl::Seconds(60);
  while (lines() < 3 && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(10));
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait().ToString(), "exit code 0");
  const std::string share = absl::StrCat(" --memory=", MemoryLimitBytes() / 3, " ");
  const std::string log = ReadAll(folder_.File("log"));
  const std::vector<std::string> shared = absl::StrSplit(log, share);
  EXPECT_EQ(shared.size(), 4U) << log;
}

TEST_F(ServerProgramTest, MemoryOfLocalWorkersIsThatOfTheirDevice) {
  EXPECT_EQ(Start("--data=x --worker-memory=-1")->Wait().exit_code, 2);
  EXPECT_EQ(Output(), "tern-server: --worker-memory: must not be negative\n");
  const std::string worker = folder_.File("worker.sh");
  std::ofstream(worker) << "#!/bin/sh\necho 1\n";
  chmod(worker.c_str(), 0755);
  EXPECT_EQ(Start(absl::StrCat("--data=x --local-workers=1 --worker-device=cuda ",
                               "--worker-memory=5 --worker-binary=", worker))
                ->Wait()
                .exit_code,
            2);
  EXPECT_TRUE(absl::StrContains(Output(), "there is --worker-device-memory")) << Output();
}

TEST(DataFolderTest, IsFreeAgainOnceClosed) {
  TempDir folder;
  const std::string path = folder.File("data");
  {
    const auto first = DataFolder::Open(path);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(DataFolder::Open(path).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(DataFolder::Open(path).ok());
}

TEST(DataFolderTest, AProcessThatIsEndingIsWaitedFor) {
  TempDir folder;
  const std::string path = folder.File("data");
  auto first = DataFolder::Open(path);
  ASSERT_TRUE(first.ok()) << first.status();
  std::thread ending([&] {
    absl::SleepFor(absl::Milliseconds(200));
    first->reset();
  });
  EXPECT_TRUE(DataFolder::Open(path).ok());
  ending.join();
}

TEST(ServerOptionsTest, LoopbackAddressesAreKnown) {
  EXPECT_TRUE(IsLoopback(HostOf("127.0.0.1:7070")));
  EXPECT_TRUE(IsLoopback(HostOf("localhost:7070")));
  EXPECT_TRUE(IsLoopback(HostOf("[::1]:7070")));
  EXPECT_FALSE(IsLoopback(HostOf("0.0.0.0:7070")));
  EXPECT_FALSE(IsLoopback(HostOf("[::]:7070")));
  EXPECT_FALSE(IsLoopback(HostOf("10.0.0.1:7070")));
}

}  // namespace
}  // namespace tern
