#ifndef TERN_CLIENT_WORKER_PROGRAM_H_
#define TERN_CLIENT_WORKER_PROGRAM_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

struct ProgramResult {
  int exit_code;
  std::string output;  // what it wrote to stdout
};

// Runs tern-worker, found in the folder of this program or in $PATH, with `arguments`, and waits
// for its end; it is killed when this thread ends before, however that happens (kill -9 included).
// Each line it writes to stderr goes to `on_stderr_line`, without its line feed, as it comes.
// NOT_FOUND when there is no such program; INTERNAL when it was killed.
absl::StatusOr<ProgramResult> RunWorkerProgram(
    const std::vector<std::string>& arguments,
    const std::function<void(absl::string_view)>& on_stderr_line);

}  // namespace tern

#endif  // TERN_CLIENT_WORKER_PROGRAM_H_
