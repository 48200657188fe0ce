#include "client/commands/following.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "checkpoint/status_macros.h"
#include "client/format_values.h"
#include "client/proto_json.h"
#include "client/report_text.h"

namespace tern {
namespace {

// `path` as a word of a shell command.
std::string ShellWord(const std::string& path) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=";
  if (path.find_first_not_of(kPlain) == std::string::npos) return path;
  return absl::StrCat("'", absl::StrReplaceAll(path, {{"'", "'\\''"}}), "'");
}

std::string HowToGoOn(const ServiceClient& client, const FollowOptions& options) {
  const std::string server = absl::StrCat(" --server ", client.address(), "\n");
  std::string text = absl::StrCat("  tern jobs watch ", options.job, server);
  if (options.folder != nullptr) {
    absl::StrAppend(&text, "  tern download ", options.job, " --out ",
                    ShellWord(options.folder->path()), server);
  }
  return absl::StrCat(text, "  tern jobs cancel ", options.job, server);
}

ExitCode ExitCodeFor(const FollowResult& result) {
  if (result.end != FollowResult::End::kTerminal) return kExitDetached;
  switch (result.job.state()) {
    case v1::QuantizationJob::SUCCEEDED:
      return kExitOk;
    case v1::QuantizationJob::CANCELLED:
      return kExitCancelled;
    default:
      return kExitFailed;
  }
}

}  // namespace

absl::StatusOr<ExitCode> FollowToEnd(ServiceClient* client, const FollowOptions& options,
                                     bool json_lines, Console& console) {
  absl::StatusOr<FollowResult> result = FollowJob(client, options, &console);
  if (!result.ok()) {
    console.err << "The job may still be running:\n" << HowToGoOn(*client, options);
    return result.status();
  }
  const v1::QuantizationJob& job = result->job;
  const bool ended = result->end == FollowResult::End::kTerminal;
  const bool succeeded = ended && job.state() == v1::QuantizationJob::SUCCEEDED;
  if (!ended) {
    console.err << (result->end == FollowResult::End::kTimedOut ? "The time is over; " : "")
                << "the job goes on without this command. To follow, download or cancel it:\n"
                << HowToGoOn(*client, options);
  } else if (job.state() == v1::QuantizationJob::CANCELLED) {
    console.err << "tern: " << job.name() << " was cancelled\n";
  } else if (!succeeded) {
    console.err << "tern: " << job.name() << " failed: " << Printable(job.error().message())
                << "\n";
  } else if (options.folder != nullptr) {
    console.err << "checkpoint in " << options.folder->path() << "\n";
  }
  if (console.json) {
    TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json json, OutcomeJson(job));
    console.out << (json_lines ? JsonLine(json) : IndentedJson(json));
  } else if (succeeded) {
    console.out << ReportText(job);
  }
  return ExitCodeFor(*result);
}

}  // namespace tern
