#include "server/jobs/submitted_inputs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/path_rules.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/text/calibration.h"
#include "checkpoint/text/evaluation.h"
#include "checkpoint/text/text_source.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "checkpoint/tokenizer/utf8.h"
#include "proto/service/error_details.h"
#include "server/jobs/spec_validation.h"

namespace tern {
namespace {

constexpr char kModelField[] = "quantization_job.spec.model";
constexpr char kCalibrationField[] = "quantization_job.spec.calibration";
constexpr char kEvaluationField[] = "quantization_job.spec.evaluation";

// The reason of an error met while reading what a field names. A missing file counts as missing
// however it was found out.
absl::Status InputError(const absl::Status& status, absl::string_view field,
                        absl::string_view invalid_reason) {
  const absl::string_view reason = absl::IsNotFound(status)           ? "INPUT_NOT_FOUND"
                                   : absl::IsPermissionDenied(status) ? "PATH_NOT_ALLOWED"
                                                                      : invalid_reason;
  return WithReason(AtField(status, field), reason);
}

AllowedRoots RootsOf(const std::vector<std::string>& input_roots) {
  // "/" contains every absolute path.
  return {input_roots.empty() ? std::vector<std::string>{"/"} : input_roots, "--input-roots"};
}

absl::Status ResolvePath(const AllowedRoots& roots, const std::string& field, std::string& path) {
  absl::StatusOr<std::string> resolved = ResolveBeneath(roots, path);
  if (!resolved.ok()) return InputError(resolved.status(), field, "INPUT_INVALID");
  if (FindInvalidUtf8(*resolved).has_value()) {
    return InvalidField(field,
                        absl::StrCat("leads to \"", Shown(*resolved),
                                     "\", which is not UTF-8; rename that file or folder"),
                        "INPUT_INVALID");
  }
  path = *std::move(resolved);
  return absl::OkStatus();
}

template <typename Spec>
absl::Status ResolveFiles(const AllowedRoots& roots, const std::string& field, Spec& spec) {
  for (int i = 0; i < spec.files_size(); ++i) {
    const bool ids = HoldsTokenIds(spec.files(i));
    const std::string name = absl::StrCat(field, ".files[", i, "]");
    TERN_RETURN_IF_ERROR(ResolvePath(roots, name, *spec.mutable_files(i)));
    if (HoldsTokenIds(spec.files(i)) != ids) {
      return InvalidField(name, "is a link to a file of another kind; name that file",
                          "INPUT_INVALID");
    }
  }
  return absl::OkStatus();
}

absl::Status ResolvePaths(const AllowedRoots& roots, v1::QuantizationSpec& spec) {
  TERN_RETURN_IF_ERROR(ResolvePath(roots, kModelField, *spec.mutable_model()));
  TERN_RETURN_IF_ERROR(ResolveFiles(roots, kCalibrationField, *spec.mutable_calibration()));
  if (!spec.has_evaluation()) return absl::OkStatus();
  return ResolveFiles(roots, kEvaluationField, *spec.mutable_evaluation());
}

template <typename Spec>
std::vector<std::string> FilesOf(const Spec& spec) {
  return {spec.files().begin(), spec.files().end()};
}

std::optional<int32_t> Separator(const ModelConfig& config) {
  if (!config.eos_token_id.has_value()) return std::nullopt;
  return static_cast<int32_t>(*config.eos_token_id);
}

absl::Status CheckContext(const TokenWindows& windows, const ModelConfig& config) {
  if (windows.length >= 2 && windows.length <= config.max_positions) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("windows have ", windows.length,
                                                 " tokens; must be 2 to the model's longest "
                                                 "context, ",
                                                 config.max_positions));
}

absl::StatusOr<TokenWindows> CalibrationWindows(const v1::QuantizationSpec& spec,
                                                const ModelConfig& config,
                                                const Tokenizer* tokenizer) {
  TERN_ASSIGN_OR_RETURN(TokenWindows windows,
                        SampleCalibration({.files = FilesOf(spec.calibration()),
                                           .text_field = spec.calibration().text_field(),
                                           .samples = spec.calibration().samples(),
                                           .length = spec.calibration().sequence_length(),
                                           .seed = spec.seed(),
                                           .vocab_size = config.vocab_size,
                                           .separator = Separator(config)},
                                          tokenizer));
  TERN_RETURN_IF_ERROR(CheckContext(windows, config));
  return windows;
}

absl::StatusOr<TokenWindows> WindowsOfEvaluation(const v1::EvaluationSpec& spec,
                                                 const ModelConfig& config,
                                                 const Tokenizer* tokenizer) {
  int64_t length = spec.window_length();
  if (length == 0) {
    TERN_ASSIGN_OR_RETURN(const TokenWindows ids, ReadTokenIds(spec.files(0)));
    length = ids.length;
  }
  TERN_ASSIGN_OR_RETURN(TokenWindows windows, EvaluationWindows({.files = FilesOf(spec),
                                                                 .text_field = spec.text_field(),
                                                                 .length = length,
                                                                 .max_windows = spec.windows(),
                                                                 .vocab_size = config.vocab_size,
                                                                 .separator = Separator(config)},
                                                                tokenizer));
  TERN_RETURN_IF_ERROR(CheckContext(windows, config));
  return windows;
}

// Asks before each document whether anybody still waits for the tokens.
class WantedTokenizer : public Tokenizer {
 public:
  WantedTokenizer(std::unique_ptr<Tokenizer> tokenizer, const StillWanted& still_wanted)
      : tokenizer_(std::move(tokenizer)), still_wanted_(still_wanted) {}

  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const override {
    TERN_RETURN_IF_ERROR(still_wanted_());
    return tokenizer_->Encode(utf8);
  }
  int64_t vocab_size() const override { return tokenizer_->vocab_size(); }

 private:
  const std::unique_ptr<Tokenizer> tokenizer_;
  const StillWanted& still_wanted_;
};

bool NeedsTokenizer(const v1::QuantizationSpec& spec) {
  return !HoldsTokenIds(spec.calibration().files(0)) ||
         (spec.has_evaluation() && !HoldsTokenIds(spec.evaluation().files(0)));
}

}  // namespace

absl::StatusOr<SubmittedInputs> ReadInputs(const v1::QuantizationSpec& spec,
                                           const std::vector<std::string>& input_roots,
                                           const StillWanted& still_wanted) {
  SubmittedInputs inputs;
  v1::QuantizationSpec resolved = spec;
  const AllowedRoots roots = RootsOf(input_roots);
  TERN_RETURN_IF_ERROR(ResolvePaths(roots, resolved));
  if (!input_roots.empty()) {
    const absl::Status status = CheckEntriesBeneath(roots, resolved.model());
    if (!status.ok()) return InputError(status, kModelField, "MODEL_UNSUPPORTED");
  }
  absl::StatusOr<std::unique_ptr<ModelFolder>> model = ModelFolder::Open(resolved.model());
  if (!model.ok()) return InputError(model.status(), kModelField, "MODEL_UNSUPPORTED");
  inputs.model = *std::move(model);
  const ModelConfig& config = inputs.model->config();
  TERN_ASSIGN_OR_RETURN(inputs.spec, ResolveSpec(resolved, config));

  std::unique_ptr<Tokenizer> tokenizer;
  if (NeedsTokenizer(inputs.spec)) {
    absl::StatusOr<std::unique_ptr<Tokenizer>> opened = OpenTokenizer(inputs.spec.model());
    if (!opened.ok()) return InputError(opened.status(), kModelField, "MODEL_UNSUPPORTED");
    tokenizer = std::make_unique<WantedTokenizer>(*std::move(opened), still_wanted);
  }

  absl::StatusOr<TokenWindows> calibration =
      CalibrationWindows(inputs.spec, config, tokenizer.get());
  TERN_RETURN_IF_ERROR(still_wanted());
  if (!calibration.ok()) {
    return InputError(calibration.status(), kCalibrationField, "INPUT_INVALID");
  }
  inputs.calibration = *std::move(calibration);
  inputs.spec.mutable_calibration()->set_samples(static_cast<int32_t>(inputs.calibration.windows));
  inputs.spec.mutable_calibration()->set_sequence_length(
      static_cast<int32_t>(inputs.calibration.length));
  if (!inputs.spec.has_evaluation()) return inputs;

  v1::EvaluationSpec& evaluation = *inputs.spec.mutable_evaluation();
  absl::StatusOr<TokenWindows> windows = WindowsOfEvaluation(evaluation, config, tokenizer.get());
  TERN_RETURN_IF_ERROR(still_wanted());
  if (!windows.ok()) return InputError(windows.status(), kEvaluationField, "INPUT_INVALID");
  evaluation.set_windows(static_cast<int32_t>(windows->windows));
  evaluation.set_window_length(static_cast<int32_t>(windows->length));
  inputs.evaluation = *std::move(windows);
  return inputs;
}

}  // namespace tern
