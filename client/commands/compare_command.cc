#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/digest.h"
#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/commands/job_request.h"
#include "client/comparison.h"
#include "client/error_text.h"
#include "client/job_follower.h"
#include "client/job_name.h"
#include "client/job_watch.h"
#include "client/method_options.h"
#include "client/proto_json.h"
#include "client/service_client.h"

namespace tern {
namespace {

constexpr char kComparisonLabel[] = "comparison";
constexpr char kSpecLabel[] = "comparison-spec";
constexpr size_t kSpecDigestDigits = 16;

constexpr char kNotes[] =
    "Quantizes MODEL once for each SPEC, all else equal, and prints one table in Markdown: the\n"
    "full-precision model first, then perplexity, KL divergence, true bits per weight (counted\n"
    "from bytes), activation bits and the workers' seconds of each. A SPEC is one argument:\n"
    "\n"
    "  'NAME: method=METHOD KEY=VALUE ...'\n"
    "\n"
    "with the keys of `tern submit --set`, see `tern help submit`; without \"NAME:\" it is its "
    "own\n"
    "name. For example:\n"
    "\n"
    "  tern compare MODEL --calibration C --eval E 'PT2: method=pt2llm' \\\n"
    "      'W1.58A4: method=twla rotation=hadamard activation_bits=4'\n"
    "\n"
    "Nothing is started unless the server finds every SPEC valid. The jobs carry the labels\n"
    "comparison and comparison-spec. Ctrl-C ends the wait, not the jobs; the same command with\n"
    "--request-id takes up those that were submitted before, with other SPECs added if you like.\n"
    "A job that fails has a row that says so, and the exit code is 1.\n";

CommandSyntax Syntax() {
  CommandSyntax syntax = {
      .name = "compare",
      .summary = "Quantizes a model in several ways and compares them",
      .positionals = {"MODEL", "SPEC"},
      .last_repeats = true,
      .options = {ServerOption()},
      .notes = kNotes,
  };
  for (Option& option : JobInputOptions(/*evaluated=*/true)) {
    syntax.options.push_back(std::move(option));
  }
  syntax.options.push_back({.name = "file",
                            .placeholder = "BASE",
                            .help = "Write the table to BASE.md and BASE.json too."});
  syntax.options.push_back(OutputOption());
  syntax.options.push_back(TimeoutOption());
  syntax.options.push_back(RetryForOption());
  syntax.options.push_back({.name = "request-id",
                            .placeholder = "ID",
                            .help = "Names the comparison: with an id that was used before, jobs "
                                    "that are there already are not made again. Default: a random "
                                    "one."});
  syntax.options.push_back(NamespaceOption());
  syntax.options.push_back(LabelOption());
  return syntax;
}

struct Compared {
  ComparedSpec spec;
  v1::CreateQuantizationJobRequest request;
};

// The same request for the same spec under the same id, whatever other specs are compared.
std::string RequestId(const std::string& id, const v1::QuantizationJob& job) {
  const std::string digest =
      Sha256Hex(absl::StrCat(job.labels().at(kSpecLabel), "\n", job.spec().SerializeAsString()));
  return absl::StrCat(id, "-", digest.substr(0, kSpecDigestDigits));
}

absl::StatusOr<std::vector<Compared>> BuildRequests(const Arguments& arguments,
                                                    const std::string& id) {
  std::vector<Compared> all;
  std::set<std::string> names;
  for (size_t i = 1; i < arguments.positionals(); ++i) {
    Compared compared;
    TERN_ASSIGN_OR_RETURN(compared.spec, ParseComparedSpec(arguments.Positional(i)));
    if (!names.insert(compared.spec.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two SPECs are called \"", compared.spec.name, "\""));
    }
    v1::QuantizationJob& job = *compared.request.mutable_quantization_job();
    SetJobInputs(arguments, job.mutable_spec());
    absl::Status status =
        SetMethod(compared.spec.method, compared.spec.settings, job.mutable_spec());
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(compared.spec.name, ": ", status.message()));
    }
    TERN_RETURN_IF_ERROR(SetLabels(arguments, &job));
    for (const char* const label : {kComparisonLabel, kSpecLabel}) {
      if (!job.labels().contains(label)) continue;
      return absl::InvalidArgumentError(absl::StrCat("--label ", label, " is this command's own"));
    }
    (*job.mutable_labels())[kComparisonLabel] = id;
    (*job.mutable_labels())[kSpecLabel] = compared.spec.name;
    compared.request.set_parent(NamespaceName(arguments.Text("namespace", "default")));
    compared.request.set_request_id(RequestId(id, job));
    all.push_back(std::move(compared));
  }
  return all;
}

// All or nothing: every request is checked before the first job is made.
absl::Status Validate(ServiceClient* client, const std::vector<Compared>& all, Console& console) {
  for (const Compared& compared : all) {
    v1::CreateQuantizationJobRequest request = compared.request;
    request.set_validate_only(true);
    absl::Status status = client->Create(request).status();
    if (status.ok()) continue;
    console.err << "SPEC \"" << compared.spec.name << "\" is refused; nothing was started\n";
    return status;
  }
  return absl::OkStatus();
}

std::string HowToGoOn(const ServiceClient& client, const std::string& id,
                      const std::vector<ComparedJob>& jobs) {
  std::string text =
      absl::StrCat("The jobs go on without this command. The same command with\n  --request-id ",
                   id, "\nwaits for them again. To cancel them:\n");
  for (const ComparedJob& compared : jobs) {
    if (IsTerminal(compared.job.state())) continue;
    absl::StrAppend(&text, "  tern jobs cancel ", compared.job.name(), " --server ",
                    client.address(), "\n");
  }
  return text;
}

absl::Status WriteTable(const Arguments& arguments, const std::string& id,
                        const std::vector<ComparedJob>& jobs, Console& console) {
  const std::string markdown = ComparisonMarkdown(jobs);
  const std::string json = IndentedJson(ComparisonJson(id, jobs));
  console.out << (console.json ? json : markdown);
  if (!arguments.Has("file")) return absl::OkStatus();
  const std::string base = AbsolutePath(arguments.Text("file"));
  TERN_RETURN_IF_ERROR(WriteFileAtomically(base + ".md", markdown));
  TERN_RETURN_IF_ERROR(WriteFileAtomically(base + ".json", json));
  console.err << "written to " << base << ".md and " << base << ".json\n";
  return absl::OkStatus();
}

ExitCode Report(const absl::Status& status, ExitCode code, Console& console) {
  console.err << (console.json ? ErrorJson(status, code) : ErrorText(status));
  return code;
}

// Follows the jobs one after the other: that is how the server hands out their tasks. False when
// the wait was cut short.
absl::StatusOr<bool> FollowAll(const Arguments& arguments, ServiceClient* client,
                               std::vector<ComparedJob>& jobs, Console& console) {
  const absl::Time deadline = absl::Now() + arguments.Seconds("timeout", absl::InfiniteDuration());
  for (size_t i = 0; i < jobs.size(); ++i) {
    console.err << "[" << i + 1 << "/" << jobs.size() << "] " << jobs[i].spec.name << ": "
                << jobs[i].job.name() << "\n"
                << std::flush;
    FollowOptions options;
    options.job = jobs[i].job.name();
    options.timeout = std::max(deadline - absl::Now(), absl::ZeroDuration());
    options.give_up_after = arguments.Seconds("retry-for", options.give_up_after);
    TERN_ASSIGN_OR_RETURN(FollowResult result, FollowJob(client, options, &console));
    if (result.end != FollowResult::End::kTerminal) return false;
    jobs[i].job = std::move(result.job);
  }
  return true;
}

absl::StatusOr<ExitCode> Compare(const Arguments& arguments, Console& console) {
  TERN_RETURN_IF_ERROR(CheckJobInputs(arguments));
  const std::string id = arguments.Text("request-id", RandomRequestId());
  TERN_ASSIGN_OR_RETURN(const std::vector<Compared> all, BuildRequests(arguments, id));
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  ServiceClient client(server);
  TERN_RETURN_IF_ERROR(Validate(&client, all, console));

  console.err << "comparison " << id << "\n" << std::flush;
  std::vector<ComparedJob> jobs;
  for (const Compared& compared : all) {
    absl::StatusOr<v1::QuantizationJob> job = client.Create(compared.request);
    if (!job.ok()) {
      if (!jobs.empty()) console.err << HowToGoOn(client, id, jobs);
      return job.status();
    }
    jobs.push_back({compared.spec, *std::move(job)});
  }
  const absl::StatusOr<bool> ended = FollowAll(arguments, &client, jobs, console);
  if (!ended.ok() || !*ended) console.err << HowToGoOn(client, id, jobs);
  if (!ended.ok()) return ended.status();
  if (!*ended) {
    return console.json ? Report(absl::CancelledError("the wait for the comparison has ended"),
                                 kExitDetached, console)
                        : kExitDetached;
  }
  TERN_RETURN_IF_ERROR(WriteTable(arguments, id, jobs, console));
  const auto bad = std::count_if(jobs.begin(), jobs.end(), [](const ComparedJob& compared) {
    return compared.job.state() != v1::QuantizationJob::SUCCEEDED;
  });
  if (bad == 0) return kExitOk;
  return Report(absl::UnknownError(absl::StrCat(bad, " of ", jobs.size(), " jobs did not succeed")),
                kExitFailed, console);
}

}  // namespace

Command CompareCommand() { return {Syntax(), Compare}; }

}  // namespace tern
