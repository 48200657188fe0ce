#ifndef TERN_SERVER_SUPERVISOR_CHILD_PROCESS_H_
#define TERN_SERVER_SUPERVISOR_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tern {

// How a process ended: by itself with a code, or by a signal.
struct ProcessEnd {
  int exit_code = 0;
  int signal = 0;  // 0 = it ended by itself
  // What it wrote to ChildProcess::kLastWords, at most 4096 bytes, without blanks at the end.
  std::string last_words;

  // "exit code 1: out of memory"
  std::string ToString() const;
};

// A program started by this one. It is killed by the kernel when the thread that started it ends,
// however that happens (kill -9 included), so that thread must live until Wait has returned.
class ChildProcess {
 public:
  // The file, open in the process, that takes what it has to say of its end.
  static constexpr int kLastWords = 3;

  // Runs argv[0] (a path) with `argv`, in a process group of its own, with no signal blocked, no
  // other open file than /dev/null as input, this process's stderr as output and errors, and
  // kLastWords.
  // NOT_FOUND or another status that names the program when it cannot be executed.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const std::vector<std::string>& argv);

  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Blocks until the process has ended. Called once, by the thread that started it.
  ProcessEnd Wait();

  // Sends `signal`; does nothing once the process has ended. Thread-safe.
  void Signal(int signal);

  pid_t pid() const { return pid_; }

 private:
  ChildProcess(pid_t pid, int last_words) : pid_(pid), last_words_(last_words) {}

  const pid_t pid_;
  int last_words_;  // where they are read; closed by Wait
  std::mutex mutex_;
  // The pid is the process's until it is reaped; after that it may be anyone's. Guarded by mutex_.
  bool reaped_ = false;
};

}  // namespace tern

#endif  // TERN_SERVER_SUPERVISOR_CHILD_PROCESS_H_
