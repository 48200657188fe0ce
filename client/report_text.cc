#include "client/report_text.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "checkpoint/status_macros.h"
#include "client/exit_code.h"
#include "client/format_values.h"
#include "client/method_text.h"
#include "client/progress_line.h"
#include "client/proto_json.h"
#include "client/text_table.h"

namespace tern {
namespace {

using v1::QuantizationJob;

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

std::string TimeText(const google::protobuf::Timestamp& timestamp) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", ToTime(timestamp), absl::UTCTimeZone());
}

// "  label             text\n"
void AddLine(absl::string_view label, absl::string_view text, std::string* out) {
  absl::StrAppendFormat(out, "%-20s%s\n", label, text);
}

// Of a report or of progress; nothing where all went well.
void AddRetries(const auto& counts, std::string* out) {
  if (counts.failed_attempts() == 0 && counts.worker_deaths() == 0) return;
  AddLine("Retries",
          absl::StrFormat("failed attempts: %d, workers lost: %d", counts.failed_attempts(),
                          counts.worker_deaths()),
          out);
}

std::string QualityText(const v1::JobReport& report) {
  std::string text;
  if (report.has_perplexity()) {
    const auto& perplexity = report.perplexity();
    AddLine(
        "Perplexity",
        absl::StrFormat("%.3f full precision, %.3f quantized (%d tokens)",
                        perplexity.full_precision(), perplexity.quantized(), perplexity.tokens()),
        &text);
  }
  if (report.has_kl_divergence()) {
    AddLine("KL divergence", absl::StrFormat("%.4f nats per token", report.kl_divergence()), &text);
  }
  AddLine("Bits per weight",
          absl::StrFormat("%.3f quantized layers, %.3f whole model",
                          report.bits_per_weight().quantized_layers(),
                          report.bits_per_weight().model()),
          &text);
  if (report.has_activation_bits()) {
    AddLine("Activation bits", ActivationBitsText(report.activation_bits()), &text);
  }
  RotationSummary rotation;
  for (const v1::BlockMetrics& block : report.blocks()) rotation.Add(block);
  if (rotation.layers() > 0) AddLine("Rotation", rotation.Text(), &text);
  int64_t unquantized = 0;
  for (const auto& tensor : report.unquantized()) unquantized += tensor.bytes();
  AddLine("Not quantized",
          absl::StrFormat("%d tensors, %s", report.unquantized_size(), BytesText(unquantized)),
          &text);
  if (report.has_gpu_memory()) {
    AddLine(
        "GPU memory",
        absl::StrFormat("%s at the peak, %s expected", BytesText(report.gpu_memory().peak_bytes()),
                        BytesText(report.gpu_memory().expected_bytes())),
        &text);
  }
  AddRetries(report, &text);
  AddLine("Digest", report.digest(), &text);
  return text;
}

// The total first, then the stages, the longest first.
std::string SecondsText(const v1::JobReport& report) {
  std::vector<std::pair<std::string, double>> stages;
  std::string text;
  for (const auto& [stage, seconds] : report.seconds()) {
    if (stage == "total") {
      AddLine("Total", DurationText(absl::Seconds(seconds)), &text);
    } else {
      stages.emplace_back(stage, seconds);
    }
  }
  std::sort(stages.begin(), stages.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  for (const auto& [stage, seconds] : stages) {
    AddLine(absl::StrCat("  ", stage), absl::StrFormat("%8.2f s", seconds), &text);
  }
  return text;
}

std::string BlocksText(const v1::JobReport& report) {
  const auto& activations = report.activation_bits().blocks();
  std::vector<std::string> columns = {">block",   ">shard",    ">layer error", ">bits",
                                      ">damping", ">tokens/s", "worker"};
  if (!activations.empty()) columns.insert(columns.begin() + 4, ">activations");
  TextTable table(columns);
  std::vector<std::string> without_compensation;
  for (const v1::BlockMetrics& block : report.blocks()) {
    double damping = 0;
    for (const v1::LayerMetrics& layer : block.layers()) {
      damping = std::max(damping, layer.damping());
      if (layer.compensation_fallback()) without_compensation.push_back(layer.layer());
    }
    std::vector<std::string> cells = {absl::StrCat(block.block()),
                                      absl::StrCat(block.shard()),
                                      SignificantText(block.reconstruction_error()),
                                      absl::StrFormat("%.3f", block.bits_per_weight()),
                                      SignificantText(damping),
                                      absl::StrFormat("%.0f", block.tokens_per_second()),
                                      Printable(block.worker())};
    if (!activations.empty()) {
      const bool known = block.block() >= 0 && block.block() < activations.size();
      cells.insert(cells.begin() + 4, known ? absl::StrCat(activations[block.block()].bits()) : "");
    }
    table.Add(std::move(cells));
  }
  std::string text = table.Text();
  for (const std::string& layer : without_compensation) {
    absl::StrAppend(&text, Printable(layer), ": quantized without compensation, its Hessian has ",
                    "no factor\n");
  }
  return text;
}

}  // namespace

std::string ReportText(const QuantizationJob& job) {
  const v1::JobReport& report = job.report();
  return absl::StrCat(
      job.name(), " ", QuantizationJob::State_Name(job.state()), "\n\n", QualityText(report),
      "\nTime from submission to the end, and of stages, summed over tasks and workers\n",
      SecondsText(report), "\nBlocks\n", BlocksText(report));
}

absl::StatusOr<nlohmann::ordered_json> OutcomeJson(const QuantizationJob& job) {
  nlohmann::ordered_json json = {{"name", job.name()},
                                 {"state", QuantizationJob::State_Name(job.state())}};
  if (job.has_report()) {
    TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json report, ProtoToJson(job.report()));
    json.update(report);
  } else if (job.has_error()) {
    json["error"] = {{"code", StatusCodeName(static_cast<absl::StatusCode>(job.error().code()))},
                     {"message", job.error().message()}};
  }
  return json;
}

std::string JobText(const QuantizationJob& job) {
  std::string text;
  AddLine("Name", job.name(), &text);
  AddLine("State", ProgressSummary(job), &text);
  if (job.has_error()) AddLine("Error", Printable(job.error().message()), &text);
  AddLine("Created", TimeText(job.create_time()), &text);
  if (job.has_start_time()) AddLine("Started", TimeText(job.start_time()), &text);
  if (job.has_end_time()) AddLine("Ended", TimeText(job.end_time()), &text);
  AddLine("Model",
          absl::StrFormat("%s (%s, %d blocks, %s weights)", Printable(job.spec().model()),
                          Printable(job.model().architecture()), job.model().blocks(),
                          CountText(job.model().parameters())),
          &text);
  AddLine("Method", MethodText(job.spec()), &text);
  if (job.has_activation_bits()) {
    AddLine("Activation bits", ActivationBitsText(job.activation_bits()), &text);
  }
  AddLine("Shards", absl::StrCat(job.spec().shards()), &text);
  AddLine("Seed", absl::StrCat(job.spec().seed()), &text);
  for (const std::string& file : job.spec().calibration().files()) {
    AddLine("Calibration",
            absl::StrFormat("%s (%d windows of %d tokens)", Printable(file),
                            job.spec().calibration().samples(),
                            job.spec().calibration().sequence_length()),
            &text);
  }
  for (const std::string& file : job.spec().evaluation().files()) {
    AddLine(
        "Evaluation",
        absl::StrFormat("%s (%d windows of %d tokens)", Printable(file),
                        job.spec().evaluation().windows(), job.spec().evaluation().window_length()),
        &text);
  }
  for (const v1::ActiveTask& task : job.progress().active()) {
    AddLine("Working on",
            absl::StrFormat("%s %s on %s", task.task(), task.stage(), Printable(task.worker())),
            &text);
  }
  if (!job.has_report()) AddRetries(job.progress(), &text);
  if (job.progress().has_shortage()) {
    AddLine("Waiting", ShortageText(job.progress()), &text);
  }
  if (job.has_preflight()) {
    AddLine("Needs",
            absl::StrFormat("%s memory per worker, %s on a GPU (at least %s), %s disk (estimates)",
                            BytesText(job.preflight().worker_memory_bytes()),
                            BytesText(job.preflight().gpu_memory_bytes()),
                            BytesText(job.preflight().gpu_memory_least_bytes()),
                            BytesText(job.preflight().blob_bytes())),
            &text);
  }
  std::vector<std::pair<std::string, std::string>> labels(job.labels().begin(), job.labels().end());
  std::sort(labels.begin(), labels.end());
  for (const auto& [key, value] : labels) {
    AddLine("Label", absl::StrCat(Printable(key), "=", Printable(value)), &text);
  }
  if (job.has_report()) {
    absl::StrAppend(
        &text, "\n", QualityText(job.report()),
        "\nTime from submission to the end, and of stages, summed over tasks and workers\n",
        SecondsText(job.report()));
  }
  return text;
}

std::string JobsTable(const std::vector<QuantizationJob>& jobs) {
  TextTable table({"NAME", "STATE", ">BLOCKS", "CREATED", "METHOD", "MODEL"});
  for (const QuantizationJob& job : jobs) {
    table.Add(
        {job.name(), QuantizationJob::State_Name(job.state()),
         absl::StrFormat("%d/%d", job.progress().blocks_done(), job.progress().blocks_total()),
         TimeText(job.create_time()), MethodName(job.spec()), Printable(job.spec().model())});
  }
  return table.Text();
}

}  // namespace tern
