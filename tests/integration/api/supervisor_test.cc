#include "server/supervisor/supervisor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "server/supervisor/child_process.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

// Waits for what will come; only a hang makes it fail.
template <typename Condition>
bool Eventually(Condition condition) {
  const absl::Time limit = absl::Now() + absl::Seconds(60);
  while (!condition()) {
    if (absl::Now() > limit) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

// Shell scripts in place of tern-worker.
class SupervisorTest : public testing::Test {
 protected:
  std::string Script(const std::string& body) {
    std::string path = folder_.File("worker.sh");
    std::ofstream(path) << "#!/bin/sh\n" << body;
    chmod(path.c_str(), 0755);
    return path;
  }

  Supervisor::Options Options(const std::string& body, int workers) {
    Supervisor::Options options;
    options.binary = Script(body);
    options.workers = workers;
    options.arguments = [](int slot) {
      return std::vector<std::string>{"--slot=" + std::to_string(slot)};
    };
    options.ended = [this](absl::string_view instance) {
      const std::lock_guard lock(mutex_);
      ended_.emplace_back(instance);
    };
    options.first_backoff = absl::Milliseconds(10);
    return options;
  }

  size_t ended() {
    const std::lock_guard lock(mutex_);
    return ended_.size();
  }

  // Lines that scripts have written to the file.
  std::vector<std::string> Lines(const std::string& name) {
    std::ifstream file(folder_.File(name));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  TempDir folder_;
  std::mutex mutex_;
  std::vector<std::string> ended_;
};

TEST_F(SupervisorTest, StartsEachWorkerWithItsArguments) {
  Supervisor supervisor(Options("echo \"$@\" >>" + folder_.File("log") + "; exec sleep 1000", 2));
  ASSERT_TRUE(Eventually([&] { return Lines("log").size() == 2; }));
  EXPECT_EQ(supervisor.RunningPids().size(), 2U);
  std::vector<std::string> lines = Lines("log");
  std::sort(lines.begin(), lines.end());
  EXPECT_TRUE(absl::StartsWith(lines[0], "--slot=0 --last-words=3 --supervisor=local-"))
      << lines[0];
  EXPECT_TRUE(absl::StartsWith(lines[1], "--slot=1 --last-words=3 --supervisor=local-"))
      << lines[1];
}

TEST_F(SupervisorTest, AKilledWorkerIsReportedAndStartedAgainAsAnother) {
  Supervisor supervisor(Options("echo \"$@\" >>" + folder_.File("log") + "; exec sleep 1000", 1));
  ASSERT_TRUE(Eventually([&] { return Lines("log").size() == 1; }));
  const pid_t first = supervisor.RunningPids().at(0);
  kill(first, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Lines("log").size() == 2; }));
  EXPECT_EQ(ended(), 1U);
  EXPECT_TRUE(absl::EndsWith(Lines("log")[0], ended_[0]));
  EXPECT_NE(Lines("log")[0], Lines("log")[1]);
  EXPECT_NE(supervisor.RunningPids().at(0), first);
}

TEST_F(SupervisorTest, AWorkerThatRefusesItsConfigurationIsNotStartedAgain) {
  Supervisor supervisor(Options("echo started >>" + folder_.File("log") + "; exit 2", 1));
  ASSERT_TRUE(Eventually([&] { return ended() == 1; }));
  ASSERT_TRUE(Eventually([&] { return supervisor.AllEnded(); }));
  // Longer than many backoffs.
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(Lines("log").size(), 1U);
}

TEST_F(SupervisorTest, TheErrorOfAWorkerThatCannotRunIsLogged) {
  testing::internal::CaptureStderr();
  {
    Supervisor supervisor(Options("echo no CUDA here >&3; exit 2", 2));
    EXPECT_TRUE(Eventually([&] { return ended() == 2 && supervisor.AllEnded(); }));
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(absl::StrContains(log, "not started again\",\"slot\":0,\"error\":\"no CUDA here"))
      << log;
  EXPECT_TRUE(absl::StrContains(log, "not started again\",\"slot\":1,\"error\":\"no CUDA here"))
      << log;
  const size_t last = log.find("no local worker is left");
  EXPECT_NE(last, std::string::npos) << log;
  EXPECT_EQ(log.find("no local worker is left", last + 1), std::string::npos) << log;
}

TEST_F(SupervisorTest, AProgramThatCannotBeRunIsTriedAgain) {
  auto options = Options("exec sleep 1000", 1);
  const std::string script = options.binary;
  options.binary = folder_.File("later.sh");
  Supervisor supervisor(options);
  absl::SleepFor(absl::Milliseconds(50));
  std::filesystem::rename(script, options.binary);
  EXPECT_TRUE(Eventually([&] { return supervisor.RunningPids().size() == 1; }));
}

TEST_F(SupervisorTest, DrainLetsWorkersFinishAndStartsNone) {
  Supervisor supervisor(Options("trap 'echo finished >>" + folder_.File("log") +
                                    "; exit 0' TERM\necho ready >>" + folder_.File("log") +
                                    "\nwhile :; do sleep 0.01; done",
                                1));
  ASSERT_TRUE(Eventually([&] { return Lines("log").size() == 1; }));
  supervisor.Drain();
  ASSERT_TRUE(Eventually([&] { return supervisor.AllEnded(); }));
  EXPECT_EQ(Lines("log"), (std::vector<std::string>{"ready", "finished"}));
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_TRUE(supervisor.AllEnded());
}

TEST_F(SupervisorTest, TheDestructorKillsAWorkerThatIgnoresDraining) {
  pid_t pid = 0;
  {
    Supervisor supervisor(Options(
        "trap '' TERM\necho ready >>" + folder_.File("log") + "\nwhile :; do sleep 0.01; done", 1));
    ASSERT_TRUE(Eventually([&] { return Lines("log").size() == 1; }));
    pid = supervisor.RunningPids().at(0);
    supervisor.Drain();
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

// As when the server is killed with -9: nobody is left to end the worker but the kernel.
TEST_F(SupervisorTest, AProcessDiesWithTheThreadThatStartedIt) {
  std::unique_ptr<ChildProcess> child;
  std::thread parent([&] { child = ChildProcess::Start({"/bin/sleep", "1000"}).value(); });
  parent.join();
  EXPECT_EQ(child->Wait().signal, SIGKILL);
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  const auto child = ChildProcess::Start({folder_.File("none")});
  EXPECT_EQ(child.status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(child.status().message(), folder_.File("none")));
}

TEST_F(SupervisorTest, AProcessHasLastWords) {
  EXPECT_EQ(
      ChildProcess::Start({Script("printf 'out of luck' >&3; exit 5")}).value()->Wait().last_words,
      "out of luck");
  EXPECT_EQ(ChildProcess::Start({"/bin/true"}).value()->Wait().last_words, "");
  // One that goes on with the file open is not waited for.
  const ProcessEnd end = ChildProcess::Start({Script("sleep 1000 & echo $! >&3")}).value()->Wait();
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(kill(std::stoi(end.last_words), SIGKILL), 0);
}

TEST_F(SupervisorTest, AProcessInheritsNoOtherOpenFiles) {
  const int file = dup(STDERR_FILENO);
  const std::string path = Script("ls /proc/self/fd >" + folder_.File("fds"));
  const auto child = ChildProcess::Start({path}).value();
  EXPECT_EQ(child->Wait().exit_code, 0);
  // 0 to 2, the last words, and the folder that ls reads.
  EXPECT_EQ(Lines("fds").size(), 5U);
  close(file);
}

}  // namespace
}  // namespace tern
