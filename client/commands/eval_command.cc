#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/format_values.h"
#include "client/proto_json.h"
#include "client/worker_program.h"

namespace tern {
namespace {

using nlohmann::ordered_json;

CommandSyntax Syntax() {
  return {
      .name = "eval",
      .summary = "Measures the perplexity of a checkpoint on a text",
      .positionals = {"DIR"},
      .options = {{.name = "text", .placeholder = "FILE", .help = "The text.", .required = true},
                  {.name = "window",
                   .kind = OptionKind::kCount,
                   .placeholder = "L",
                   .help = "Tokens per window. Default: 2048 or the model's context."},
                  {.name = "windows",
                   .kind = OptionKind::kCount,
                   .placeholder = "N",
                   .help = "Windows from the start of the text. Default: all."},
                  {.name = "against",
                   .placeholder = "MODEL_DIR",
                   .help = "The full-precision model: adds its perplexity and the KL divergence."},
                  OutputOption()},
      .notes =
          "DIR is a packed checkpoint, of which every byte is checked first as by verify, or a\n"
          "full-precision model. The text is UTF-8, JSONL with a field \"text\", or a "
          ".safetensors\n"
          "file with input_ids.\n"
          "The work is done on this machine by tern-worker, which must lie beside tern or in\n"
          "$PATH.\n",
  };
}

double NumberAt(const ordered_json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

// What tern-worker measured, for people.
std::string MeasuredText(const ordered_json& json) {
  std::string text = absl::StrFormat("Perplexity          %.3f (%.0f tokens)\n",
                                     NumberAt(json, "perplexity"), NumberAt(json, "tokens"));
  if (json.contains("activation_bits")) {
    absl::StrAppendFormat(&text, "Activations         %.3g bits on average\n",
                          NumberAt(json, "activation_bits"));
  }
  if (json.contains("full_precision")) {
    absl::StrAppendFormat(&text, "Full precision      %.3f\n", NumberAt(json, "full_precision"));
  }
  if (json.contains("kl_divergence")) {
    absl::StrAppendFormat(&text, "KL divergence       %.4f nats per token\n",
                          NumberAt(json, "kl_divergence"));
  }
  return text;
}

// What tern-worker exits with where a checkpoint is damaged.
constexpr int kWorkerDamaged = 4;

// An error of tern-worker as one of this program.
absl::Status WorkerError(int exit_code, const std::string& error) {
  const std::string message =
      error.empty() ? absl::StrCat("tern-worker exited with code ", exit_code) : error;
  switch (exit_code) {
    case kExitUsage:
      return absl::InvalidArgumentError(message);
    case kExitUnavailable:
      return absl::ResourceExhaustedError(message);
    case kWorkerDamaged:
      return absl::DataLossError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<ExitCode> Evaluate(const Arguments& arguments, Console& console) {
  std::vector<std::string> words = {"evaluate", AbsolutePath(arguments.Positional(0)),
                                    absl::StrCat("--text=", AbsolutePath(arguments.Text("text")))};
  for (const char* name : {"window", "windows"}) {
    if (arguments.Has(name)) words.push_back(absl::StrCat("--", name, "=", arguments.Text(name)));
  }
  if (arguments.Has("against")) {
    words.push_back(absl::StrCat("--against=", AbsolutePath(arguments.Text("against"))));
  }
  std::string error;
  TERN_ASSIGN_OR_RETURN(const ProgramResult result,
                        RunWorkerProgram(words, [&](absl::string_view line) {
                          if (absl::ConsumePrefix(&line, "tern-worker: ")) {
                            error = std::string(line);
                          } else {
                            console.err << Printable(line) << std::endl;
                          }
                        }));
  if (result.exit_code != 0) return WorkerError(result.exit_code, error);
  const ordered_json json = ordered_json::parse(result.output, nullptr, false);
  if (!json.is_object() || !json.contains("perplexity")) {
    return absl::InternalError("tern-worker evaluate printed no perplexity");
  }
  console.out << (console.json ? IndentedJson(json) : MeasuredText(json));
  return kExitOk;
}

}  // namespace

Command EvalCommand() { return {Syntax(), Evaluate}; }

}  // namespace tern
