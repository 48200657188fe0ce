#include "client/worker_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr char kWorker[] = "tern-worker";

// A path with a slash when it lies beside this program, else the plain name, for $PATH.
std::string FindWorker() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string beside = (self.parent_path() / kWorker).string();
  return !error && access(beside.c_str(), X_OK) == 0 ? beside : kWorker;
}

// Both ends of a pipe, closed with it.
class Pipe {
 public:
  static absl::StatusOr<std::unique_ptr<Pipe>> Make() {
    std::array<int, 2> ends;
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
    return std::unique_ptr<Pipe>(new Pipe(ends));
  }
  ~Pipe() {
    CloseWriteEnd();
    close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void CloseWriteEnd() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  explicit Pipe(std::array<int, 2> ends) : ends_(ends) {}
  std::array<int, 2> ends_;
};

// Appends what there is to read; false at the end of the file.
bool ReadSome(int fd, std::string& text) {
  std::array<char, 4096> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  text.append(buffer.data(), static_cast<size_t>(got));
  return true;
}

// Hands out the whole lines of `text` and keeps the rest.
void TakeLines(std::string& text, const std::function<void(absl::string_view)>& on_line) {
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    on_line(absl::string_view(text).substr(begin, end - begin));
  }
  text.erase(0, begin);
}

// Reads both to their ends, at the same time: a program that waits to write to one does not go on
// with the other.
std::string ReadBoth(int out, int err, const std::function<void(absl::string_view)>& on_err_line) {
  std::string output;
  std::string line;
  std::array<pollfd, 2> files = {{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  while (files[0].fd >= 0 || files[1].fd >= 0) {
    if (poll(files.data(), files.size(), -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (files[0].revents != 0 && !ReadSome(out, output)) files[0].fd = -1;
    if (files[1].revents != 0 && !ReadSome(err, line)) files[1].fd = -1;
    TakeLines(line, on_err_line);
  }
  if (!line.empty()) on_err_line(line);
  return output;
}

// What the child does between fork and exec. Whatever ends this process, kill -9 included, ends the
// program, which would compute on for nobody.
[[noreturn]] void BecomeProgram(char* const* argv, pid_t parent, int out, int err, int exec_error) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the call above took effect.
  if (getppid() != parent) _exit(EXIT_FAILURE);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execvp(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(exec_error, &error, sizeof error);
  _exit(EXIT_FAILURE);
}

// 0 when the other end was closed without a word.
int ReadErrno(int fd) {
  int error = 0;
  while (read(fd, &error, sizeof error) < 0 && errno == EINTR) {
  }
  return error;
}

int Wait(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

absl::StatusOr<ProgramResult> RunWorkerProgram(
    const std::vector<std::string>& arguments,
    const std::function<void(absl::string_view)>& on_stderr_line) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Pipe> out, Pipe::Make());
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Pipe> err, Pipe::Make());
  const std::string program = FindWorker();
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // Closed without a word by a successful exec; otherwise carries its errno.
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Pipe> exec_error, Pipe::Make());
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    BecomeProgram(argv.data(), parent, out->write_end(), err->write_end(), exec_error->write_end());
  }
  if (child < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot start ", kWorker));
  out->CloseWriteEnd();
  err->CloseWriteEnd();
  exec_error->CloseWriteEnd();
  if (const int error = ReadErrno(exec_error->read_end()); error != 0) {
    Wait(child);
    return absl::NotFoundError(
        absl::StrCat(kWorker, " cannot be run (", std::strerror(error),
                     "); it computes the evaluation and must lie beside tern or in $PATH"));
  }
  ProgramResult result;
  result.output = ReadBoth(out->read_end(), err->read_end(), on_stderr_line);
  const int status = Wait(child);
  if (!WIFEXITED(status)) {
    return absl::InternalError(absl::StrCat(kWorker, " was killed by signal ", WTERMSIG(status)));
  }
  result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace tern
