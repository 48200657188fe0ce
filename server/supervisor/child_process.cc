#include "server/supervisor/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr int kParentGone = 125;
constexpr int kCannotExecute = 126;

// What the child does between fork and exec. Other threads of the parent may have held any lock at
// the fork, so only async-signal-safe calls are made.
[[noreturn]] void BecomeProgram(char* const* argv, pid_t parent, int errors) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the call above took effect.
  if (getppid() != parent) _exit(kParentGone);
  // Ctrl-C on a terminal reaches the server only, which then drains its workers.
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDIN_FILENO);
  // The server's standard output is its own.
  dup2(STDERR_FILENO, STDOUT_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execv(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(errors, &error, sizeof error);
  _exit(kCannotExecute);
}

}  // namespace

std::string ProcessEnd::ToString() const {
  return signal != 0 ? absl::StrCat("killed by signal ", signal)
                     : absl::StrCat("exit code ", exit_code);
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  // Closed without a word by a successful exec; otherwise carries its errno.
  int errors[2];
  if (pipe2(errors, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(arguments.data(), parent, errors[1]);
  const int fork_error = errno;
  close(errors[1]);
  int exec_error = 0;
  ssize_t got = 0;
  if (pid > 0) {
    do {
      got = read(errors[0], &exec_error, sizeof exec_error);
    } while (got < 0 && errno == EINTR);
  }
  close(errors[0]);
  if (pid < 0) return absl::ErrnoToStatus(fork_error, absl::StrCat("fork for ", argv[0]));

  auto child = absl::WrapUnique(new ChildProcess(pid));
  if (got > 0) {
    child->Wait();
    return absl::ErrnoToStatus(exec_error, absl::StrCat("cannot execute ", argv[0]));
  }
  return child;
}

ProcessEnd ChildProcess::Wait() {
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  const std::lock_guard lock(mutex_);
  int status = 0;
  waitpid(pid_, &status, 0);
  reaped_ = true;
  ProcessEnd end;
  if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
  } else {
    end.exit_code = WEXITSTATUS(status);
  }
  return end;
}

void ChildProcess::Signal(int signal) {
  const std::lock_guard lock(mutex_);
  if (!reaped_) kill(pid_, signal);
}

}  // namespace tern
