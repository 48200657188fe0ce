#include "client/commands/job_request.h"

#include <sys/random.h>

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"

namespace tern {

std::vector<Option> JobInputOptions(bool evaluated) {
  using enum OptionKind;
  return {
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
       .help = "Seeds the choice of windows, random reordering and rotations. Default: 0."},
      {.name = "eval",
       .placeholder = "FILE",
       .help = evaluated ? "Text to evaluate on, before and after."
                         : "Text to evaluate on, before and after. Default: no evaluation.",
       .repeated = true,
       .required = evaluated},
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
  };
}

Option LabelOption() {
  return {.name = "label",
          .placeholder = "KEY=VALUE",
          .help = "A mark of your own, to filter by.",
          .repeated = true};
}

absl::Status CheckJobInputs(const Arguments& arguments) {
  for (const char* name : {"eval-window", "eval-windows"}) {
    if (arguments.Has(name) && !arguments.Has("eval")) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs --eval FILE"));
    }
  }
  return absl::OkStatus();
}

void SetJobInputs(const Arguments& arguments, v1::QuantizationSpec* spec) {
  spec->set_model(AbsolutePath(arguments.Positional(0)));
  spec->set_shards(arguments.Count("shards"));
  spec->set_seed(arguments.Uint64("seed"));
  v1::CalibrationSpec& calibration = *spec->mutable_calibration();
  for (const std::string& file : arguments.All("calibration")) {
    calibration.add_files(AbsolutePath(file));
  }
  calibration.set_text_field(arguments.Text("text-field"));
  calibration.set_samples(arguments.Count("samples"));
  calibration.set_sequence_length(arguments.Count("seq-len"));
  if (arguments.Has("eval")) {
    v1::EvaluationSpec& evaluation = *spec->mutable_evaluation();
    for (const std::string& file : arguments.All("eval")) {
      evaluation.add_files(AbsolutePath(file));
    }
    evaluation.set_text_field(arguments.Text("text-field"));
    evaluation.set_window_length(arguments.Count("eval-window"));
    evaluation.set_windows(arguments.Count("eval-windows"));
  }
}

absl::Status SetLabels(const Arguments& arguments, v1::QuantizationJob* job) {
  auto& labels = *job->mutable_labels();
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
  return absl::OkStatus();
}

std::string RandomRequestId() {
  std::array<char, 16> bytes = {};
  (void)getrandom(bytes.data(), bytes.size(), 0);
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace tern
