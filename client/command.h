#ifndef TERN_CLIENT_COMMAND_H_
#define TERN_CLIENT_COMMAND_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/command_line.h"
#include "client/console.h"
#include "client/exit_code.h"

namespace tern {

// A command of `tern`: what it takes and what it does.
struct Command {
  CommandSyntax syntax;
  // An error is reported by the caller and exits by ExitCodeFor.
  absl::StatusOr<ExitCode> (*run)(const Arguments& arguments, Console& console);
};

// All commands, in the order of the help text.
const std::vector<Command>& Commands();

// Runs the program with the words after its name: finds the command, reports errors on
// `console.err`, returns the exit code.
int RunCommandLine(std::span<const std::string> words, Console& console);

// Options several commands have. --server's default is $TERN_SERVER, then 127.0.0.1:7070.
Option ServerOption();
Option OutputOption();
Option NamespaceOption();
Option TimeoutOption();
Option RetryForOption();

// INVALID_ARGUMENT, which names the flag or the variable, when it is no address.
absl::StatusOr<std::string> ServerAddress(const Arguments& arguments);
// The resource name of the job given as first positional.
absl::StatusOr<std::string> JobArgument(const Arguments& arguments);
// A path made absolute against the current folder, without a slash at its end.
std::string AbsolutePath(const std::string& path);

Command SubmitCommand();
Command CompareCommand();
Command JobsListCommand();
Command JobsGetCommand();
Command JobsWatchCommand();
Command JobsCancelCommand();
Command JobsDeleteCommand();
Command DownloadCommand();
Command InspectCommand();
Command VerifyCommand();
Command ExportCommand();
Command EvalCommand();
Command WorkersListCommand();
Command ServerInfoCommand();
Command VersionCommand();

}  // namespace tern

#endif  // TERN_CLIENT_COMMAND_H_
