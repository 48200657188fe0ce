#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/job_inputs.h"
#include "worker/agent/activation_settings.h"
#include "worker/agent/method_options.h"
#include "worker/agent/tasks.h"
#include "worker/model/evaluation.h"
#include "worker/model/weight_source.h"

namespace tern {
namespace {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

absl::StatusOr<std::span<const int32_t>> PartOf(const TokenWindows& windows, int64_t first,
                                                int64_t count) {
  if (first < 0 || count < 1 || first > windows.windows - count) {
    return absl::InvalidArgumentError(
        absl::StrCat("evaluation windows ", first, " to ", first + count, " of ", windows.windows));
  }
  return std::span<const int32_t>(windows.ids)
      .subspan(static_cast<size_t>(first * windows.length),
               static_cast<size_t>(count * windows.length));
}

}  // namespace

absl::StatusOr<TaskResult> RunEvaluate(TaskTools& tools, const Task& task, TaskProgress& progress) {
  TERN_ASSIGN_OR_RETURN(const PackedFormat format, FormatOf(task.spec()));
  TERN_ASSIGN_OR_RETURN(const auto model, tools.inputs.Model(task, tools.threads, progress));
  progress.EnterStage("evaluate");
  TERN_ASSIGN_OR_RETURN(const auto windows, tools.inputs.Windows(task.job_uid(), kEvaluationInput,
                                                                 progress.stop_token()));
  TERN_ASSIGN_OR_RETURN(
      const std::span<const int32_t> ids,
      PartOf(*windows, task.evaluate().first_window(), task.evaluate().windows()));

  TERN_ASSIGN_OR_RETURN(std::vector<BlockActivations> activations,
                        ActivationsOf(task.evaluate().activations()));
  if (!activations.empty() &&
      static_cast<int64_t>(activations.size()) != model->config().num_blocks) {
    return absl::InvalidArgumentError(absl::StrCat("activations: of ", activations.size(),
                                                   " blocks, and the model has ",
                                                   model->config().num_blocks));
  }
  const auto full = FullPrecisionWeights(*model);
  const auto quantized = QuantizedWeights(
      *model,
      [&](int64_t block) {
        return ReadCommittedLayers(tools.blobs, task.job_uid(), model->config(), format, block,
                                   progress.stop_token());
      },
      std::move(activations));
  EvaluationOptions evaluation;
  evaluation.progress = [&](int64_t done, int64_t total) {
    progress.Show(static_cast<double>(done) / static_cast<double>(total));
  };
  evaluation.cancelled = [&] { return progress.stopped(); };
  TERN_ASSIGN_OR_RETURN(
      const EvaluationSums sums,
      Evaluate(tools.backend, {full.get(), quantized.get()}, {ids, windows->length}, evaluation));

  TaskResult result;
  result.mutable_evaluate()->set_loss_full_precision(sums.nll_full);
  result.mutable_evaluate()->set_loss_quantized(sums.nll_quantized);
  result.mutable_evaluate()->set_kl_divergence(sums.kl);
  result.mutable_evaluate()->set_tokens(sums.tokens);
  return result;
}

}  // namespace tern
