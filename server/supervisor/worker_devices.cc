#include "server/supervisor/worker_devices.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {
namespace {

constexpr size_t kLongestAnswer = 4096;
// A driver that hangs is not waited for.
constexpr absl::Duration kLongestWait = absl::Seconds(60);

struct Answer {
  std::string text;
  bool complete = false;  // false: there was no more time
};

Answer ReadAll(int file) {
  const absl::Time deadline = absl::Now() + kLongestWait;
  Answer answer;
  std::string& text = answer.text;
  char buffer[256];
  while (text.size() < kLongestAnswer) {
    pollfd readable = {.fd = file, .events = POLLIN, .revents = 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || poll(&readable, 1, static_cast<int>(left)) == 0) return answer;
    const ssize_t got = read(file, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  answer.complete = true;
  return answer;
}

// The first line of a file, without the name of the program that wrote it.
std::string FirstLine(int file) {
  char buffer[kLongestAnswer];
  const ssize_t got = pread(file, buffer, sizeof buffer, 0);
  absl::string_view line(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  line = line.substr(0, line.find('\n'));
  absl::ConsumePrefix(&line, "tern-worker: ");
  return std::string(line);
}

}  // namespace

absl::StatusOr<CudaDevices> CountCudaDevicesOf(const std::string& worker_binary) {
  int answer[2];
  if (pipe2(answer, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const int errors = memfd_create("errors", MFD_CLOEXEC);
  std::string command = "count-devices";
  char* const argv[] = {const_cast<char*>(worker_binary.c_str()), command.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, answer[1], STDOUT_FILENO);
  if (errors >= 0) posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, worker_binary.c_str(), &files, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  close(answer[1]);
  const Answer said = error == 0 ? ReadAll(answer[0]) : Answer();
  close(answer[0]);
  if (error != 0) {
    close(errors);
    return absl::ErrnoToStatus(error, absl::StrCat("run ", worker_binary));
  }

  if (!said.complete) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  CudaDevices devices = {.said = FirstLine(errors)};
  close(errors);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
      absl::SimpleAtoi(said.text, &devices.count) && devices.count >= 0) {
    return devices;
  }
  return absl::FailedPreconditionError(
      absl::StrCat(worker_binary, " count-devices did not say how many CUDA devices there are",
                   devices.said.empty() ? "" : ": ", devices.said));
}

}  // namespace tern
