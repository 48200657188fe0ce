#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "proto/service/job_inputs.h"
#include "worker/agent/activation_settings.h"
#include "worker/agent/layers_ahead.h"
#include "worker/agent/method_options.h"
#include "worker/agent/tasks.h"
#include "worker/model/weight_source.h"
#include "worker/quant/sensitivity.h"

namespace tern {
namespace {

using tern::worker::v1::SensitivityResult;
using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

absl::StatusOr<SensitivityProbes> ProbesOf(const tern::worker::v1::MeasureSensitivity& message) {
  SensitivityProbes probes;
  probes.block = message.block();
  probes.baseline = message.measure_baseline();
  for (const auto& asked : message.probes()) {
    SensitivityProbes::Probe& probe = probes.probes.emplace_back();
    TERN_ASSIGN_OR_RETURN(probe.own, ActivationsOf(asked.own()));
    if (!asked.has_previous()) continue;
    TERN_ASSIGN_OR_RETURN(probe.previous, ActivationsOf(asked.previous()));
  }
  return probes;
}

absl::StatusOr<std::vector<BlockActivations>> BaselineOf(
    const tern::worker::v1::MeasureSensitivity& message, const ModelConfig& config) {
  if (message.baseline_size() != config.num_blocks) {
    return absl::InvalidArgumentError(absl::StrCat("the task's baseline is that of ",
                                                   message.baseline_size(), " blocks, not of ",
                                                   config.num_blocks));
  }
  return ActivationsOf(message.baseline());
}

SensitivityResult ResultOf(int32_t block, const Sensitivity& measured) {
  SensitivityResult result;
  result.set_block(block);
  result.set_tokens(measured.tokens);
  if (measured.baseline_loss.has_value()) result.set_baseline_loss(*measured.baseline_loss);
  for (const Sensitivity::Probe& measured_probe : measured.probes) {
    SensitivityResult::Probe& probe = *result.add_probes();
    probe.set_previous_bits(measured_probe.previous_bits);
    probe.set_bits(measured_probe.bits);
    probe.set_loss(measured_probe.loss);
  }
  return result;
}

}  // namespace

absl::StatusOr<TaskResult> RunSensitivity(TaskTools& tools, const Task& task,
                                          TaskProgress& progress) {
  TERN_ASSIGN_OR_RETURN(const PackedFormat format, FormatOf(task.spec()));
  TERN_ASSIGN_OR_RETURN(const auto model, tools.inputs.Model(task, tools.threads, progress));
  progress.EnterStage("sensitivity");
  TERN_ASSIGN_OR_RETURN(const auto windows, tools.inputs.Windows(task.job_uid(), kCalibrationInput,
                                                                 progress.stop_token()));
  TERN_ASSIGN_OR_RETURN(const SensitivityProbes probes, ProbesOf(task.sensitivity()));
  KeptSensitivity::Key key = {.job_uid = task.job_uid(), .baseline = {}};
  TERN_ASSIGN_OR_RETURN(key.baseline, BaselineOf(task.sensitivity(), model->config()));

  LayersAhead ahead([&](int64_t block) {
    return ReadCommittedLayers(tools.blobs, task.job_uid(), model->config(), format, block,
                               progress.stop_token());
  });
  const auto baseline = QuantizedWeights(
      *model, [&](int64_t block) { return ahead.Take(block); }, key.baseline);
  SensitivityOptions options;
  options.memory = ChooseSensitivityMemory(tools.backend, model->config(),
                                           static_cast<int64_t>(windows->ids.size()));
  options.upcoming = [&](int64_t block) { ahead.Start(block); };
  options.progress = [&](int64_t done, int64_t total) {
    progress.Show(static_cast<double>(done) / static_cast<double>(total));
  };
  options.cancelled = [&] { return progress.stopped(); };
  SensitivityState state = tools.kept_sensitivity.Take(key);
  TERN_ASSIGN_OR_RETURN(
      const Sensitivity measured,
      MeasureSensitivity(tools.backend, *baseline, {windows->ids, windows->length}, probes, options,
                         state));
  tools.kept_sensitivity.Keep(std::move(key), std::move(state));

  TaskResult result;
  *result.mutable_sensitivity() = ResultOf(task.sensitivity().block(), measured);
  return result;
}

}  // namespace tern
