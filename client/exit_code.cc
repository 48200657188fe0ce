#include "client/exit_code.h"

#include <string>

namespace tern {

ExitCode ExitCodeFor(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kCancelled:
      return kExitCancelled;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return kExitUsage;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
      return kExitUnavailable;
    default:
      return kExitFailed;
  }
}

std::string StatusCodeName(absl::StatusCode code) { return absl::StatusCodeToString(code); }

std::string ExitCodeHelp() {
  return "Exit codes:\n"
         "  0  done\n"
         "  1  the job failed, data is corrupt, or an internal error\n"
         "  2  usage: bad flags, or a request that was refused (INVALID_ARGUMENT, NOT_FOUND,\n"
         "     ALREADY_EXISTS, PERMISSION_DENIED, UNAUTHENTICATED, FAILED_PRECONDITION,\n"
         "     OUT_OF_RANGE, UNIMPLEMENTED)\n"
         "  3  unavailable: the same command may work later (UNAVAILABLE, DEADLINE_EXCEEDED,\n"
         "     RESOURCE_EXHAUSTED, ABORTED; a full disk)\n"
         "  4  the job was cancelled\n"
         "  5  the wait ended, by --timeout or Ctrl-C, while the job goes on\n";
}

}  // namespace tern
