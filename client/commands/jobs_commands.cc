#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/commands/following.h"
#include "client/proto_json.h"
#include "client/report_text.h"
#include "client/service_client.h"

namespace tern {
namespace {

absl::Status WriteJob(const v1::QuantizationJob& job, const std::string& text, Console& console) {
  if (!console.json) {
    console.out << text;
    return absl::OkStatus();
  }
  TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json json, ProtoToJson(job));
  console.out << IndentedJson(json);
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Get(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  TERN_ASSIGN_OR_RETURN(const std::string name, JobArgument(arguments));
  TERN_ASSIGN_OR_RETURN(const v1::QuantizationJob job, ServiceClient(server).Get(name));
  TERN_RETURN_IF_ERROR(WriteJob(job, JobText(job), console));
  return kExitOk;
}

absl::StatusOr<ExitCode> Cancel(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  TERN_ASSIGN_OR_RETURN(const std::string name, JobArgument(arguments));
  TERN_ASSIGN_OR_RETURN(const v1::QuantizationJob job, ServiceClient(server).CancelJob(name));
  const std::string state = v1::QuantizationJob::State_Name(job.state());
  TERN_RETURN_IF_ERROR(WriteJob(job, name + " " + state + "\n", console));
  return kExitOk;
}

absl::StatusOr<ExitCode> Delete(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  TERN_ASSIGN_OR_RETURN(const std::string name, JobArgument(arguments));
  TERN_RETURN_IF_ERROR(ServiceClient(server).Delete(name));
  if (console.json) {
    console.out << IndentedJson({{"name", name}, {"deleted", true}});
  } else {
    console.out << name << " deleted\n";
  }
  return kExitOk;
}

absl::StatusOr<ExitCode> Watch(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  ServiceClient client(server);
  FollowOptions options;
  TERN_ASSIGN_OR_RETURN(options.job, JobArgument(arguments));
  options.after_sequence = arguments.Count("after-sequence");
  options.timeout = arguments.Seconds("timeout", options.timeout);
  options.give_up_after = arguments.Seconds("retry-for", options.give_up_after);
  if (console.json) {
    options.on_message = [&console](const v1::WatchQuantizationJobResponse& message) {
      if (const auto json = ProtoToJson(message); json.ok()) {
        console.out << JsonLine(*json) << std::flush;
      }
      return console.out.good();
    };
  }
  return FollowToEnd(&client, options, /*json_lines=*/true, console);
}

}  // namespace

Command JobsGetCommand() {
  return {{.name = "jobs get",
           .summary = "Shows a job",
           .positionals = {"JOB"},
           .options = {ServerOption(), NamespaceOption(), OutputOption()}},
          Get};
}

Command JobsCancelCommand() {
  return {{.name = "jobs cancel",
           .summary = "Cancels a job",
           .positionals = {"JOB"},
           .options = {ServerOption(), NamespaceOption(), OutputOption()}},
          Cancel};
}

Command JobsDeleteCommand() {
  return {{.name = "jobs delete",
           .summary = "Removes a job that has ended, with its files",
           .positionals = {"JOB"},
           .options = {ServerOption(), NamespaceOption(), OutputOption()}},
          Delete};
}

Command JobsWatchCommand() {
  return {
      {.name = "jobs watch",
       .summary = "Follows a job to its end",
       .positionals = {"JOB"},
       .options = {ServerOption(),
                   NamespaceOption(),
                   OutputOption(),
                   TimeoutOption(),
                   RetryForOption(),
                   {.name = "after-sequence",
                    .kind = OptionKind::kCount,
                    .placeholder = "N",
                    .help = "Start after this event. Default: 0, from the first."}},
       .notes = "--output json prints a line per message of WatchQuantizationJob, and last the\n"
                "report with \"name\" and \"state\" of the job before it, or its \"error\".\n"},
      Watch};
}

}  // namespace tern
