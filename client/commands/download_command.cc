#include <memory>
#include <string>

#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/commands/following.h"
#include "client/download_folder.h"
#include "client/service_client.h"

namespace tern {
namespace {

CommandSyntax Syntax() {
  return {
      .name = "download",
      .summary = "Downloads a job's checkpoint, while it runs or afterwards",
      .positionals = {"JOB"},
      .options = {ServerOption(),
                  {.name = "out",
                   .placeholder = "DIR",
                   .help = "The folder; made if missing.",
                   .required = true},
                  NamespaceOption(),
                  OutputOption(),
                  TimeoutOption(),
                  RetryForOption()},
      .notes =
          "DIR must be new, empty, or hold an earlier download of the same job, which is gone\n"
          "on with: files that are there and whole are not fetched again. At the end every\n"
          "file is checked against tern-manifest.json and the report is printed.\n",
  };
}

absl::StatusOr<ExitCode> Download(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  ServiceClient client(server);
  FollowOptions options;
  TERN_ASSIGN_OR_RETURN(options.job, JobArgument(arguments));
  TERN_ASSIGN_OR_RETURN(const v1::QuantizationJob job, client.Get(options.job));
  const std::string out = AbsolutePath(arguments.Text("out"));
  TERN_ASSIGN_OR_RETURN(const bool made, DownloadFolder::Prepare(out, /*may_resume=*/true));
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<DownloadFolder> folder,
                        DownloadFolder::Open(out, job));
  options.folder = folder.get();
  options.timeout = arguments.Seconds("timeout", options.timeout);
  options.give_up_after = arguments.Seconds("retry-for", options.give_up_after);
  TERN_ASSIGN_OR_RETURN(const ExitCode code,
                        FollowToEnd(&client, options, /*json_lines=*/false, console));
  if (code == kExitFailed || code == kExitCancelled) folder->Discard(made);
  return code;
}

}  // namespace

Command DownloadCommand() { return {Syntax(), Download}; }

}  // namespace tern
