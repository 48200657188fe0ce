#include "server/jobs/spec_validation.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/text_source.h"
#include "proto/service/error_details.h"
#include "server/jobs/method_validation.h"
#include "server/jobs/spec_fields.h"

namespace tern {
namespace {

constexpr char kSpec[] = "quantization_job.spec";
constexpr char kLabels[] = "quantization_job.labels";

constexpr int32_t kMaxSamples = 65536;
// What an evaluation of any sense has; keeps sizes far from overflow.
constexpr int32_t kMaxEvaluationWindows = 1 << 20;
constexpr int32_t kMaxWindowTokens = 1 << 20;
constexpr int kMaxFiles = 1024;
// Every task carries the spec, and every page of jobs those of its jobs.
constexpr size_t kMaxSpecBytes = 256 << 10;
constexpr size_t kMaxPathBytes = 4096;
constexpr int kMaxLabels = 32;
constexpr size_t kMaxLabelBytes = 128;

constexpr int32_t kDefaultSamples = 128;
constexpr int64_t kDefaultLength = 2048;
constexpr char kDefaultTextField[] = "text";

absl::Status CheckPath(const std::string& field, const std::string& path) {
  if (path.empty()) return InvalidField(field, "must be set");
  if (path.front() != '/') {
    return InvalidField(field, absl::StrCat("\"", path,
                                            "\" is not an absolute path; give the path as the "
                                            "server sees it, from /"));
  }
  if (path.size() > kMaxPathBytes) return InvalidField(field, "longer than 4096 bytes");
  if (path.find('\0') != std::string::npos) return InvalidField(field, "contains a NUL character");
  return absl::OkStatus();
}

template <typename Spec>
absl::Status CheckFiles(absl::string_view name, const Spec& spec) {
  const std::string files = SpecField(absl::StrCat(name, ".files"));
  if (spec.files().empty()) return InvalidField(files, "must name at least one file");
  if (spec.files_size() > kMaxFiles) {
    return InvalidField(files, absl::StrCat("names more than ", kMaxFiles, " files"));
  }
  for (int i = 0; i < spec.files_size(); ++i) {
    TERN_RETURN_IF_ERROR(CheckPath(absl::StrCat(files, "[", i, "]"), spec.files(i)));
    if (HoldsTokenIds(spec.files(i)) && spec.files_size() > 1) {
      return InvalidField(files, "a safetensors file must be the only one");
    }
  }
  if (spec.text_field().size() > kMaxLabelBytes) {
    return InvalidField(SpecField(absl::StrCat(name, ".text_field")), "longer than 128 bytes");
  }
  return absl::OkStatus();
}

template <typename Spec>
bool IsText(const Spec& spec) {
  return !HoldsTokenIds(spec.files(0));
}

absl::Status CheckLength(absl::string_view name, int64_t length, const ModelConfig& config) {
  if (length <= config.max_positions) return absl::OkStatus();
  return InvalidField(
      SpecField(name),
      absl::StrCat("is ", length, "; the model's longest context is ", config.max_positions));
}

bool IsLabelKey(absl::string_view key) {
  return !key.empty() && key.size() <= kMaxLabelBytes &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains("_./-", c);
         });
}

}  // namespace

absl::Status ValidateSpec(const v1::QuantizationSpec& spec) {
  if (spec.ByteSizeLong() > kMaxSpecBytes) {
    return InvalidField(kSpec, absl::StrCat("has ", spec.ByteSizeLong(), " bytes; at most ",
                                            kMaxSpecBytes, ": name fewer files"));
  }
  TERN_RETURN_IF_ERROR(CheckPath(SpecField("model"), spec.model()));
  TERN_RETURN_IF_ERROR(ValidateMethod(spec));

  if (!spec.has_calibration()) return InvalidField(SpecField("calibration"), "must be set");
  TERN_RETURN_IF_ERROR(CheckFiles("calibration", spec.calibration()));
  TERN_RETURN_IF_ERROR(
      CheckRange("calibration.samples", spec.calibration().samples(), 1, kMaxSamples));
  TERN_RETURN_IF_ERROR(CheckRange("calibration.sequence_length",
                                  spec.calibration().sequence_length(), 2, kMaxWindowTokens));
  if (spec.has_evaluation()) {
    TERN_RETURN_IF_ERROR(CheckFiles("evaluation", spec.evaluation()));
    TERN_RETURN_IF_ERROR(CheckRange("evaluation.window_length", spec.evaluation().window_length(),
                                    2, kMaxWindowTokens));
    TERN_RETURN_IF_ERROR(
        CheckRange("evaluation.windows", spec.evaluation().windows(), 1, kMaxEvaluationWindows));
  }
  if (spec.shards() < 0) {
    return InvalidField(SpecField("shards"),
                        absl::StrCat("is ", spec.shards(),
                                     "; must be 1 to the number of blocks, or 0 "
                                     "for 1"));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::QuantizationSpec> ResolveSpec(const v1::QuantizationSpec& spec,
                                                 const ModelConfig& config) {
  v1::QuantizationSpec resolved = spec;
  ResolveMethod(resolved);
  if (resolved.shards() == 0) resolved.set_shards(1);
  if (resolved.shards() > config.num_blocks) {
    return InvalidField(
        SpecField("shards"),
        absl::StrCat("is ", resolved.shards(), "; the model has ", config.num_blocks, " blocks"));
  }

  const auto default_length =
      static_cast<int32_t>(std::min<int64_t>(kDefaultLength, config.max_positions));
  v1::CalibrationSpec& calibration = *resolved.mutable_calibration();
  if (calibration.text_field().empty()) calibration.set_text_field(kDefaultTextField);
  if (IsText(calibration)) {
    if (calibration.samples() == 0) calibration.set_samples(kDefaultSamples);
    if (calibration.sequence_length() == 0) calibration.set_sequence_length(default_length);
  }
  TERN_RETURN_IF_ERROR(
      CheckLength("calibration.sequence_length", calibration.sequence_length(), config));
  if (!resolved.has_evaluation()) return resolved;

  v1::EvaluationSpec& evaluation = *resolved.mutable_evaluation();
  if (evaluation.text_field().empty()) evaluation.set_text_field(kDefaultTextField);
  if (IsText(evaluation) && evaluation.window_length() == 0) {
    evaluation.set_window_length(default_length);
  }
  TERN_RETURN_IF_ERROR(CheckLength("evaluation.window_length", evaluation.window_length(), config));
  return resolved;
}

absl::Status ValidateLabels(const v1::QuantizationJob& job) {
  if (job.labels_size() > kMaxLabels) {
    return InvalidField(kLabels, absl::StrCat("more than ", kMaxLabels, " labels"));
  }
  for (const auto& [key, value] : job.labels()) {
    if (!IsLabelKey(key)) {
      return InvalidField(kLabels,
                          absl::StrCat("key \"", key, "\" must be 1 to 128 of [A-Za-z0-9_./-]"));
    }
    if (value.size() > kMaxLabelBytes) {
      return InvalidField(
          kLabels, absl::StrCat("the value of ", key, " has more than ", kMaxLabelBytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

}  // namespace tern
