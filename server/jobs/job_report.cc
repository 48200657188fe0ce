#include "server/jobs/job_report.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/version.h"
#include "server/jobs/activation_choice.h"
#include "server/jobs/job_view.h"
#include "server/jobs/method_recipe.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {
namespace {

struct EvaluationSums {
  double loss_full_precision = 0;
  double loss_quantized = 0;
  double kl_divergence = 0;
  int64_t tokens = 0;

  void Add(const worker::v1::EvaluateResult& part) {
    loss_full_precision += part.loss_full_precision();
    loss_quantized += part.loss_quantized();
    kl_divergence += part.kl_divergence();
    tokens += part.tokens();
  }
};

void SetEvaluation(const EvaluationSums& sums, v1::JobReport& report) {
  if (sums.tokens == 0) return;
  const auto tokens = static_cast<double>(sums.tokens);
  report.mutable_perplexity()->set_full_precision(std::exp(sums.loss_full_precision / tokens));
  report.mutable_perplexity()->set_quantized(std::exp(sums.loss_quantized / tokens));
  report.mutable_perplexity()->set_tokens(sums.tokens);
  report.set_kl_divergence(sums.kl_divergence / tokens);
}

void SetActivationBits(const v1::QuantizationJob& document, v1::JobReport& report) {
  const MethodRecipe recipe = RecipeOf(document.spec());
  if (recipe.activation_bits.empty()) return;
  *report.mutable_activation_bits() =
      recipe.mixed ? document.activation_bits()
                   : FixedActivationBits(recipe.activation_bits.front(), document.model().blocks());
}

}  // namespace

absl::StatusOr<v1::JobReport> MakeReport(const JobRecord& job, const std::vector<TaskRecord>& tasks,
                                         absl::Time end) {
  TERN_ASSIGN_OR_RETURN(const v1::QuantizationJob document, ReadDocument(job));
  v1::JobReport report;
  *report.mutable_spec() = document.spec();
  *report.mutable_model() = document.model();
  report.set_version(kVersion);
  report.set_job(NameOf(job));
  report.set_failed_attempts(job.failed_attempts);
  report.set_worker_deaths(job.worker_deaths);

  EvaluationSums evaluation;
  std::set<std::string> devices;
  int64_t gpu_peak = 0;
  auto& seconds = *report.mutable_seconds();
  for (const TaskRecord& task : tasks) {
    worker::v1::TaskResult result;
    if (!result.ParseFromString(task.result)) {
      return absl::DataLossError(
          absl::StrCat(NameOf(job), ": the stored result of task ", task.name, " does not parse"));
    }
    for (const auto& [stage, time] : result.seconds()) seconds[stage] += time;
    if (!result.device().empty()) devices.insert(result.device());
    gpu_peak = std::max(gpu_peak, result.device_memory_peak_bytes());
    if (result.has_block()) *report.add_blocks() = result.block();
    if (result.has_evaluate()) evaluation.Add(result.evaluate());
    if (result.has_assemble()) {
      report.set_digest(result.assemble().digest());
      *report.mutable_bits_per_weight() = result.assemble().bits_per_weight();
      *report.mutable_unquantized() = result.assemble().unquantized();
    }
  }
  seconds["total"] = absl::ToDoubleSeconds(end - job.create_time);
  if (gpu_peak > 0) {
    report.mutable_gpu_memory()->set_expected_bytes(document.preflight().gpu_memory_bytes());
    report.mutable_gpu_memory()->set_peak_bytes(gpu_peak);
  }
  report.mutable_devices()->Assign(devices.begin(), devices.end());
  SetEvaluation(evaluation, report);
  SetActivationBits(document, report);
  return report;
}

absl::StatusOr<std::string> ReportJson(const v1::JobReport& report) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;  // block 0 is "block": 0
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(report, &json, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("report: ", status.ToString()));
  return json;
}

}  // namespace tern
