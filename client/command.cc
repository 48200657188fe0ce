#include "client/command.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "checkpoint/status_macros.h"
#include "client/error_text.h"
#include "client/job_name.h"
#include "proto/service/server_address.h"

namespace tern {
namespace {

constexpr char kDefaultServer[] = "127.0.0.1:7070";
constexpr char kServerVariable[] = "TERN_SERVER";

std::string GeneralHelp() {
  std::string text =
      "tern turns full-precision language models into packed ternary checkpoints.\n"
      "\n"
      "Usage: tern COMMAND [arguments] [options]\n"
      "\n"
      "Commands:\n";
  for (const Command& command : Commands()) {
    absl::StrAppendFormat(&text, "  %-14s  %s\n", command.syntax.name, command.syntax.summary);
  }
  absl::StrAppend(
      &text,
      "  help            Shows this, or with a command its options\n"
      "\n"
      "JOB is a job's id or its full name, namespaces/NAMESPACE/quantizationJobs/ID.\n"
      "Data goes to stdout, progress and errors to stderr. With --output json data is JSON, and\n"
      "where the exit code is not 0 the last line of stderr is {\"error\": {\"code\", "
      "\"message\",\n"
      "\"reason\", \"fields\"}, \"exit_code\"}, unless the options themselves are wrong.\n"
      "\n"
      "Environment:\n"
      "  TERN_SERVER     the server's address where --server is not given\n"
      "\n",
      ExitCodeHelp());
  return text;
}

bool IsHelpWord(const std::string& word) {
  return word == "help" || word == "--help" || word == "-h";
}

// The command whose name the words start with; null when there is none.
const Command* FindCommand(std::span<const std::string> words) {
  for (const Command& command : Commands()) {
    const std::vector<std::string> name = absl::StrSplit(command.syntax.name, ' ');
    if (words.size() >= name.size() && std::equal(name.begin(), name.end(), words.begin())) {
      return &command;
    }
  }
  return nullptr;
}

absl::Status UnknownCommand(std::span<const std::string> words) {
  // The commands of a group whose name was given alone: "jobs" of "jobs list".
  std::vector<std::string> names;
  std::vector<std::string> group;
  for (const Command& command : Commands()) {
    names.push_back(command.syntax.name);
    if (absl::StartsWith(command.syntax.name, absl::StrCat(words[0], " "))) {
      group.push_back(command.syntax.name);
    }
  }
  if (!group.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", words[0], "\" is not a whole command; ",
                                                   "there are ", absl::StrJoin(group, ", ")));
  }
  const std::string nearest = NearestWord(words[0], names);
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown command \"", words[0], "\"; ",
      nearest.empty() ? "see `tern help`" : absl::StrCat("did you mean `tern ", nearest, "`?")));
}

int Report(const absl::Status& status, Console& console) {
  const ExitCode code = ExitCodeFor(status.code());
  console.err << (console.json ? ErrorJson(status, code) : ErrorText(status));
  return code;
}

int ShowHelp(std::span<const std::string> words, Console& console) {
  if (words.empty()) {
    console.out << GeneralHelp();
    return kExitOk;
  }
  if (const Command* command = FindCommand(words); command != nullptr) {
    console.out << HelpText(command->syntax);
    return kExitOk;
  }
  return Report(UnknownCommand(words), console);
}

}  // namespace

const std::vector<Command>& Commands() {
  static const auto& commands = *new std::vector<Command>{
      SubmitCommand(),      CompareCommand(),    JobsListCommand(),   JobsGetCommand(),
      JobsWatchCommand(),   JobsCancelCommand(), JobsDeleteCommand(), DownloadCommand(),
      InspectCommand(),     VerifyCommand(),     ExportCommand(),     EvalCommand(),
      WorkersListCommand(), ServerInfoCommand(), VersionCommand(),
  };
  return commands;
}

int RunCommandLine(std::span<const std::string> words, Console& console) {
  if (words.empty()) {
    console.err << GeneralHelp();
    return kExitUsage;
  }
  if (IsHelpWord(words[0])) return ShowHelp(words.subspan(1), console);
  const Command* command = FindCommand(words);
  if (command == nullptr && words[0] == "--version") {
    return RunCommandLine(std::vector<std::string>{"version"}, console);
  }
  if (command == nullptr) return Report(UnknownCommand(words), console);
  const std::vector<std::string> name = absl::StrSplit(command->syntax.name, ' ');
  const std::span<const std::string> rest = words.subspan(name.size());
  if (std::any_of(rest.begin(), rest.end(),
                  [](const std::string& word) { return word == "--help" || word == "-h"; })) {
    return ShowHelp(name, console);
  }
  const absl::StatusOr<Arguments> arguments = ParseArguments(command->syntax, rest);
  if (!arguments.ok()) return Report(arguments.status(), console);
  console.json = arguments->Text("output") == "json";
  const absl::StatusOr<ExitCode> code = command->run(*arguments, console);
  return code.ok() ? static_cast<int>(*code) : Report(code.status(), console);
}

Option ServerOption() {
  return {.name = "server",
          .placeholder = "HOST:PORT",
          .help = "The tern-server. Default: $TERN_SERVER, else 127.0.0.1:7070."};
}

Option OutputOption() {
  return {.name = "output",
          .kind = OptionKind::kChoice,
          .help = "What is written to stdout. Default: text.",
          .choices = {"json", "text"}};
}

Option NamespaceOption() {
  return {.name = "namespace", .placeholder = "NS", .help = "The namespace. Default: default."};
}

Option TimeoutOption() {
  return {.name = "timeout",
          .kind = OptionKind::kSeconds,
          .placeholder = "SECONDS",
          .help = "Wait at most so long; the job goes on (exit code 5). Default: no limit."};
}

Option RetryForOption() {
  return {.name = "retry-for",
          .kind = OptionKind::kSeconds,
          .placeholder = "SECONDS",
          .help =
              "How long the server may be away before the wait ends (exit code 3). Default: "
              "300."};
}

absl::StatusOr<std::string> ServerAddress(const Arguments& arguments) {
  std::string address = kDefaultServer;
  const char* source = "--server";
  if (arguments.Has("server")) {
    address = arguments.Text("server");
  } else if (const char* environment = std::getenv(kServerVariable);
             environment != nullptr && *environment != '\0') {
    address = environment;
    source = kServerVariable;
  }
  TERN_RETURN_IF_ERROR(CheckServerAddress(source, address));
  return address;
}

absl::StatusOr<std::string> JobArgument(const Arguments& arguments) {
  return JobName(arguments.Positional(0), arguments.Text("namespace", "default"));
}

std::string AbsolutePath(const std::string& path) {
  std::error_code ignored;
  std::filesystem::path absolute = std::filesystem::absolute(path, ignored);
  // "a/../b" is left alone: it is not b when a is a symlink.
  if (std::find(absolute.begin(), absolute.end(), "..") == absolute.end()) {
    absolute = absolute.lexically_normal();
  }
  std::string text = absolute.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace tern
