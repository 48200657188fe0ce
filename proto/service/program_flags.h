#ifndef TERN_PROTO_SERVICE_PROGRAM_FLAGS_H_
#define TERN_PROTO_SERVICE_PROGRAM_FLAGS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tern {

// Sets a server program's ABSL_FLAGs from its command line: --name=value, --name value, and for
// booleans --name and --noname, with "-" in a name for the flag's "_". There are no other
// arguments. --help and --version print to stdout and end the program with 0.
//
// INVALID_ARGUMENT says in one line what is wrong; absl's own parser would end the program itself,
// with exit code 1.
absl::Status ParseProgramFlags(int argc, const char* const* argv, absl::string_view summary);

// OK for the time a program may take to end: 0 to 24h. INVALID_ARGUMENT names --drain-timeout.
absl::Status CheckDrainTimeout(absl::Duration timeout);

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_PROGRAM_FLAGS_H_
