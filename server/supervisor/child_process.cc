#include "server/supervisor/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr int kParentGone = 125;
constexpr int kCannotExecute = 126;

// Between fork and exec only async-signal-safe calls are made: other threads of the parent may have
// held any lock at the fork.
[[noreturn]] void CannotBecomeProgram(int errors) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(errors, &error, sizeof error);
  _exit(kCannotExecute);
}

// What the child does there.
[[noreturn]] void BecomeProgram(char* const* argv, pid_t parent, int errors, int last_words) {
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
  // Both out of the way of the number that one of them gets.
  const int moved_errors = fcntl(errors, F_DUPFD_CLOEXEC, ChildProcess::kLastWords + 1);
  if (moved_errors < 0) CannotBecomeProgram(errors);
  last_words = fcntl(last_words, F_DUPFD_CLOEXEC, ChildProcess::kLastWords + 1);
  if (last_words < 0) CannotBecomeProgram(moved_errors);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  if (dup2(last_words, ChildProcess::kLastWords) < 0) CannotBecomeProgram(moved_errors);
  execv(argv[0], argv);
  CannotBecomeProgram(moved_errors);
}

// What was written to a pipe by now. Children of the process may keep it open: no end is waited
// for.
std::string ReadWritten(int file) {
  fcntl(file, F_SETFL, O_NONBLOCK);
  char buffer[4096];
  ssize_t got = 0;
  do {
    got = read(file, buffer, sizeof buffer);
  } while (got < 0 && errno == EINTR);
  const absl::string_view written(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  return std::string(absl::StripTrailingAsciiWhitespace(written));
}

}  // namespace

std::string ProcessEnd::ToString() const {
  return absl::StrCat(signal != 0 ? "killed by signal " : "exit code ",
                      signal != 0 ? signal : exit_code, last_words.empty() ? "" : ": ", last_words);
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
  int last_words[2];
  if (pipe2(last_words, O_CLOEXEC) != 0) {
    const int pipe_error = errno;
    close(errors[0]);
    close(errors[1]);
    return absl::ErrnoToStatus(pipe_error, "pipe");
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(arguments.data(), parent, errors[1], last_words[1]);
  const int fork_error = errno;
  close(errors[1]);
  close(last_words[1]);
  int exec_error = 0;
  ssize_t got = 0;
  if (pid > 0) {
    do {
      got = read(errors[0], &exec_error, sizeof exec_error);
    } while (got < 0 && errno == EINTR);
  }
  close(errors[0]);
  if (pid < 0) {
    close(last_words[0]);
    return absl::ErrnoToStatus(fork_error, absl::StrCat("fork for ", argv[0]));
  }

  auto child = absl::WrapUnique(new ChildProcess(pid, last_words[0]));
  if (got > 0) {
    child->Wait();
    return absl::ErrnoToStatus(exec_error, absl::StrCat("cannot execute ", argv[0]));
  }
  return child;
}

ChildProcess::~ChildProcess() {
  if (last_words_ >= 0) close(last_words_);
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
  end.last_words = ReadWritten(last_words_);
  close(std::exchange(last_words_, -1));
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
