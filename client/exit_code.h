#ifndef TERN_CLIENT_EXIT_CODE_H_
#define TERN_CLIENT_EXIT_CODE_H_

#include <string>

#include "absl/status/status.h"

namespace tern {

// What every command exits with. Scripts rely on the numbers.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,       // the job failed; data is corrupt; an error of no other kind
  kExitUsage = 2,        // bad flags, or a request that was refused: repeating it cannot help
  kExitUnavailable = 3,  // no server, or no room: the same command may work later
  kExitCancelled = 4,    // the job was cancelled
  kExitDetached = 5,     // the wait ended (timeout, Ctrl-C) while the job goes on
};

// The one table from status codes to exit codes.
ExitCode ExitCodeFor(absl::StatusCode code);

// "INVALID_ARGUMENT", ... as the API spells them.
std::string StatusCodeName(absl::StatusCode code);

// The table as `tern help` prints it.
std::string ExitCodeHelp();

}  // namespace tern

#endif  // TERN_CLIENT_EXIT_CODE_H_
