#include "client/commands/following.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "checkpoint/status_macros.h"
#include "client/error_text.h"
#include "client/proto_json.h"
#include "client/report_text.h"
#include "google/rpc/status.pb.h"
#include "proto/service/error_details.h"

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

// What an error line says of the outcome; OK for a job that succeeded.
absl::Status OutcomeStatus(const FollowResult& result) {
  const v1::QuantizationJob& job = result.job;
  if (result.end == FollowResult::End::kTimedOut) {
    return absl::DeadlineExceededError(absl::StrCat("the wait for ", job.name(), " timed out"));
  }
  if (result.end == FollowResult::End::kInterrupted) {
    return absl::CancelledError(absl::StrCat("the wait for ", job.name(), " was interrupted"));
  }
  if (job.state() == v1::QuantizationJob::SUCCEEDED) return absl::OkStatus();
  if (job.state() == v1::QuantizationJob::CANCELLED) {
    return absl::CancelledError(absl::StrCat(job.name(), " was cancelled"));
  }
  google::rpc::Status error = job.error();
  if (error.code() == 0) error.set_code(static_cast<int>(absl::StatusCode::kUnknown));
  error.set_message(absl::StrCat(job.name(), " failed: ", error.message()));
  return FromProto(error);
}

}  // namespace

absl::StatusOr<ExitCode> FollowToEnd(ServiceClient* client, const FollowOptions& options,
                                     bool json_lines, Console& console) {
  absl::StatusOr<FollowResult> result = FollowJob(client, options, &console);
  if (!result.ok()) {
    const bool may_run = result.status().code() != absl::StatusCode::kNotFound &&
                         result.status().code() != absl::StatusCode::kInvalidArgument;
    if (may_run) console.err << "The job may still be running:\n" << HowToGoOn(*client, options);
    return result.status();
  }
  const v1::QuantizationJob& job = result->job;
  const ExitCode code = ExitCodeFor(*result);
  if (code == kExitDetached) {
    console.err << (result->end == FollowResult::End::kTimedOut ? "The time is over; " : "")
                << "the job goes on without this command. To follow, download or cancel it:\n"
                << HowToGoOn(*client, options);
  } else if (code == kExitOk && options.folder != nullptr) {
    console.err << "checkpoint in " << options.folder->path() << "\n";
  }
  if (console.json) {
    TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json json, OutcomeJson(job));
    console.out << (json_lines ? JsonLine(json) : IndentedJson(json));
  } else if (code == kExitOk) {
    console.out << ReportText(job);
  }
  const absl::Status outcome = OutcomeStatus(*result);
  if (console.json && !outcome.ok()) {
    console.err << ErrorJson(outcome, code);
  } else if (code == kExitFailed || code == kExitCancelled) {
    console.err << ErrorText(outcome);
  }
  return code;
}

}  // namespace tern
