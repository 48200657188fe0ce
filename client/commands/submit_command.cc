#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/commands/following.h"
#include "client/commands/job_request.h"
#include "client/format_values.h"
#include "client/job_name.h"
#include "client/method_options.h"
#include "client/progress_line.h"
#include "client/proto_json.h"

namespace tern {
namespace {

constexpr char kNotes[] =
    "MODEL and files are paths as the server sees them; relative ones are made absolute against\n"
    "the current folder. Calibration and evaluation files are UTF-8 text, JSONL (.jsonl), or one\n"
    ".safetensors file whose input_ids are taken as they are.\n"
    "\n"
    "Without --follow the job's name is printed and the command ends. With it the progress goes\n"
    "to stderr and the report to stdout; Ctrl-C ends the wait, not the job. --output json prints\n"
    "tern-report.json with \"name\" and \"state\" of the job before it.\n"
    "--out writes each file as soon as its block is done. It must be a new or an empty folder;\n"
    "with a --request-id that was used before it may hold what was downloaded then. What a job\n"
    "that fails or is cancelled left there is removed.\n";

// --server, --method, --set.
constexpr int kOptionsBeforeInputs = 3;

CommandSyntax Syntax() {
  using enum OptionKind;
  CommandSyntax syntax = {
      .name = "submit",
      .summary = "Submits a model for quantization",
      .positionals = {"MODEL"},
      .options =
          {
              ServerOption(),
              {.name = "method",
               .kind = kChoice,
               .help = "The quantization method.",
               .required = true,
               .choices = MethodNames()},
              {.name = "set",
               .placeholder = "KEY=VALUE",
               .help = "An option of the method, see below.",
               .repeated = true},
              {.name = "follow",
               .kind = kFlag,
               .help = "Wait for the end, with progress and the report."},
              {.name = "out",
               .placeholder = "DIR",
               .help = "Download the checkpoint to DIR; implies --follow."},
              OutputOption(),
              TimeoutOption(),
              RetryForOption(),
              {.name = "request-id",
               .placeholder = "ID",
               .help = "Submitting the same job again with the same id returns the first one. "
                       "Default: a random one."},
              {.name = "job-id",
               .placeholder = "ID",
               .help = "The last part of the job's name. Default: chosen by the server."},
              NamespaceOption(),
              LabelOption(),
              {.name = "validate-only", .kind = kFlag, .help = "Check everything, start nothing."},
          },
      .notes = absl::StrCat(kNotes, "\n", MethodOptionsHelp()),
  };
  const std::vector<Option> inputs = JobInputOptions(/*evaluated=*/false);
  syntax.options.insert(syntax.options.begin() + kOptionsBeforeInputs, inputs.begin(),
                        inputs.end());
  return syntax;
}

absl::Status CheckCombination(const Arguments& arguments) {
  const bool follows = arguments.Has("follow") || arguments.Has("out");
  TERN_RETURN_IF_ERROR(CheckJobInputs(arguments));
  for (const char* name : {"timeout", "retry-for"}) {
    if (arguments.Has(name) && !follows) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs --follow"));
    }
  }
  if (arguments.Has("validate-only") && follows) {
    return absl::InvalidArgumentError(
        "--validate-only starts no job that --follow or --out could "
        "wait for");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::CreateQuantizationJobRequest> BuildRequest(const Arguments& arguments) {
  v1::CreateQuantizationJobRequest request;
  request.set_parent(NamespaceName(arguments.Text("namespace", "default")));
  request.set_quantization_job_id(arguments.Text("job-id"));
  request.set_request_id(arguments.Text("request-id", RandomRequestId()));
  request.set_validate_only(arguments.Has("validate-only"));
  TERN_RETURN_IF_ERROR(SetLabels(arguments, request.mutable_quantization_job()));
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  SetJobInputs(arguments, &spec);
  TERN_RETURN_IF_ERROR(SetMethod(arguments.Text("method"), arguments.All("set"), &spec));
  return request;
}

// "LlamaForCausalLM, 6 blocks, 2.0 M weights; about 34.5 MB memory per worker (62.0 MB on a GPU),
// 4.1 MB disk"
std::string FoundText(const v1::QuantizationJob& job) {
  return absl::StrCat(Printable(job.model().architecture()), ", ", job.model().blocks(),
                      " blocks, ", CountText(job.model().parameters()), " weights; about ",
                      BytesText(job.preflight().worker_memory_bytes()), " memory per worker (",
                      BytesText(job.preflight().gpu_memory_bytes()), " on a GPU), ",
                      BytesText(job.preflight().blob_bytes()), " disk");
}

absl::Status WriteJob(const v1::QuantizationJob& job, const std::string& text, Console& console) {
  if (!console.json) {
    console.out << text << "\n";
    return absl::OkStatus();
  }
  TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json json, ProtoToJson(job));
  console.out << IndentedJson(json);
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Follow(const Arguments& arguments, const std::string& out, bool made,
                                const v1::QuantizationJob& job, ServiceClient* client,
                                Console& console) {
  std::unique_ptr<DownloadFolder> folder;
  if (!out.empty()) {
    absl::StatusOr<std::unique_ptr<DownloadFolder>> opened = DownloadFolder::Open(out, job);
    if (!opened.ok()) {
      console.err << "the job goes on without this command\n";
      return opened.status();
    }
    folder = *std::move(opened);
  }
  FollowOptions options;
  options.job = job.name();
  options.folder = folder.get();
  options.timeout = arguments.Seconds("timeout", options.timeout);
  options.give_up_after = arguments.Seconds("retry-for", options.give_up_after);
  TERN_ASSIGN_OR_RETURN(const ExitCode code,
                        FollowToEnd(client, options, /*json_lines=*/false, console));
  if (folder != nullptr && (code == kExitFailed || code == kExitCancelled)) folder->Discard(made);
  return code;
}

absl::StatusOr<ExitCode> Submit(const Arguments& arguments, Console& console) {
  TERN_RETURN_IF_ERROR(CheckCombination(arguments));
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  TERN_ASSIGN_OR_RETURN(const v1::CreateQuantizationJobRequest request, BuildRequest(arguments));
  const std::string out = arguments.Has("out") ? AbsolutePath(arguments.Text("out")) : "";
  bool made = false;
  if (!out.empty()) {
    TERN_ASSIGN_OR_RETURN(made, DownloadFolder::Prepare(out, arguments.Has("request-id")));
  }

  ServiceClient client(server);
  const absl::StatusOr<v1::QuantizationJob> job = client.Create(request);
  if (!job.ok()) {
    if (made) DownloadFolder::RemoveEmpty(out);
    return job.status();
  }
  if (request.validate_only()) {
    TERN_RETURN_IF_ERROR(WriteJob(*job, "valid: " + FoundText(*job), console));
    return kExitOk;
  }
  if (out.empty() && !arguments.Has("follow")) {
    console.err << FoundText(*job) << "\n";
    if (job->progress().has_shortage()) console.err << ShortageText(job->progress()) << "\n";
    TERN_RETURN_IF_ERROR(WriteJob(*job, job->name(), console));
    return kExitOk;
  }
  console.err << job->name() << "\n" << FoundText(*job) << "\n" << std::flush;
  return Follow(arguments, out, made, *job, &client, console);
}

}  // namespace

Command SubmitCommand() { return {Syntax(), Submit}; }

}  // namespace tern
