#ifndef TERN_CLIENT_WORKER_PROGRAM_H_
#define TERN_CLIENT_WORKER_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tern {

struct ProgramResult {
  int exit_code;
  std::string output;  // what it wrote to stdout
};

// Runs tern-worker, found in the folder of this program or in $PATH, with `arguments`, and waits
// for its end. Its stderr is this process's. NOT_FOUND when there is none; INTERNAL when it was
// killed.
absl::StatusOr<ProgramResult> RunWorkerProgram(const std::vector<std::string>& arguments);

}  // namespace tern

#endif  // TERN_CLIENT_WORKER_PROGRAM_H_
