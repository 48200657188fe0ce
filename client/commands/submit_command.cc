#include <sys/random.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/commands/following.h"
#include "client/format_values.h"
#include "client/job_name.h"
#include "client/method_options.h"
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

CommandSyntax Syntax() {
  using enum OptionKind;
  return {
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
              {.name = "shards",
               .kind = kCount,
               .placeholder = "N",
               .help = "Runs of blocks that are quantized at the same time; 1 gives the best "
                       "quality. Default: 1."},
              {.name = "calibration",
               .placeholder = "FILE",
               .help = "Text to calibrate on.",
               .repeated = true,
               .required = true},
              {.name = "samples",
               .kind = kCount,
               .placeholder = "N",
               .help = "Calibration windows. Default: 128, or all of a .safetensors file."},
              {.name = "seq-len",
               .kind = kCount,
               .placeholder = "L",
               .help = "Tokens per calibration window. Default: 2048 or the model's context."},
              {.name = "seed",
               .kind = kUint64,
               .placeholder = "S",
               .help = "Seeds the choice of windows. Default: 0."},
              {.name = "eval",
               .placeholder = "FILE",
               .help = "Text to evaluate on, before and after. Default: no evaluation.",
               .repeated = true},
              {.name = "eval-window",
               .kind = kCount,
               .placeholder = "L",
               .help = "Tokens per evaluation window. Default: 2048 or the model's context."},
              {.name = "eval-windows",
               .kind = kCount,
               .placeholder = "N",
               .help = "Evaluation windows from the start of the text. Default: all."},
              {.name = "text-field",
               .placeholder = "F",
               .help = "The field of JSONL files that holds the text. Default: text."},
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
              {.name = "label",
               .placeholder = "KEY=VALUE",
               .help = "A mark of your own, to filter by.",
               .repeated = true},
              {.name = "validate-only", .kind = kFlag, .help = "Check everything, start nothing."},
          },
      .notes = absl::StrCat(kNotes, "\n", MethodOptionsHelp()),
  };
}

std::string RandomRequestId() {
  std::array<char, 16> bytes = {};
  (void)getrandom(bytes.data(), bytes.size(), 0);
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

absl::Status CheckCombination(const Arguments& arguments) {
  const bool follows = arguments.Has("follow") || arguments.Has("out");
  for (const char* name : {"eval-window", "eval-windows"}) {
    if (arguments.Has(name) && !arguments.Has("eval")) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs --eval FILE"));
    }
  }
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
  auto& labels = *request.mutable_quantization_job()->mutable_labels();
  for (const std::string& label : arguments.All("label")) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat("--label ", label, ": expected KEY=VALUE"));
    }
    if (!labels.insert({label.substr(0, equals), label.substr(equals + 1)}).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--label ", label.substr(0, equals), " is given twice"));
    }
  }

  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.set_model(AbsolutePath(arguments.Positional(0)));
  TERN_RETURN_IF_ERROR(SetMethod(arguments.Text("method"), arguments.All("set"), &spec));
  spec.set_shards(arguments.Count("shards"));
  spec.set_seed(arguments.Uint64("seed"));
  v1::CalibrationSpec& calibration = *spec.mutable_calibration();
  for (const std::string& file : arguments.All("calibration")) {
    calibration.add_files(AbsolutePath(file));
  }
  calibration.set_text_field(arguments.Text("text-field"));
  calibration.set_samples(arguments.Count("samples"));
  calibration.set_sequence_length(arguments.Count("seq-len"));
  if (arguments.Has("eval")) {
    v1::EvaluationSpec& evaluation = *spec.mutable_evaluation();
    for (const std::string& file : arguments.All("eval")) {
      evaluation.add_files(AbsolutePath(file));
    }
    evaluation.set_text_field(arguments.Text("text-field"));
    evaluation.set_window_length(arguments.Count("eval-window"));
    evaluation.set_windows(arguments.Count("eval-windows"));
  }
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
  TERN_ASSIGN_OR_RETURN(const v1::CreateQuantizationJobRequest request, BuildRequest(arguments));
  const std::string out = arguments.Has("out") ? AbsolutePath(arguments.Text("out")) : "";
  bool made = false;
  if (!out.empty()) {
    TERN_ASSIGN_OR_RETURN(made, DownloadFolder::Prepare(out, arguments.Has("request-id")));
  }

  ServiceClient client(ServerAddress(arguments));
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
    TERN_RETURN_IF_ERROR(WriteJob(*job, job->name(), console));
    return kExitOk;
  }
  console.err << job->name() << "\n" << FoundText(*job) << "\n" << std::flush;
  return Follow(arguments, out, made, *job, &client, console);
}

}  // namespace

Command SubmitCommand() { return {Syntax(), Submit}; }

}  // namespace tern
