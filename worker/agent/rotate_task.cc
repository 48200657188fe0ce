#include <string>
#include <utility>

#include "checkpoint/rotation_file.h"
#include "checkpoint/status_macros.h"
#include "proto/service/block_stages.h"
#include "proto/service/job_inputs.h"
#include "worker/agent/method_options.h"
#include "worker/agent/tasks.h"
#include "worker/model/block_weights.h"
#include "worker/quant/block_rotations.h"

namespace tern {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

absl::StatusOr<TaskResult> RunRotate(TaskTools& tools, const Task& task, TaskProgress& progress) {
  const int64_t block = task.rotate().block();
  TERN_ASSIGN_OR_RETURN(const QuantRecipe recipe, MethodOptions(task.spec()));
  TERN_ASSIGN_OR_RETURN(const auto model, tools.inputs.Model(task, tools.threads, progress));
  progress.EnterStage(kLoadStage);
  TERN_ASSIGN_OR_RETURN(const BlockWeights weights, LoadBlock(tools.backend, *model, block));
  progress.EnterStage(kRotateStage);
  const TaskControl control = {
      .progress = [&](absl::string_view, double fraction) { progress.Show(fraction); },
      .cancelled = [&] { return progress.stopped(); }};
  TERN_ASSIGN_OR_RETURN(const FoundRotations found,
                        FindRotations(tools.backend, block, weights, recipe, control));

  progress.EnterStage(kUploadStage);
  const std::string path = RotationsFile(block);
  const absl::Status written = tools.blobs.Write(
      task.lease(), path,
      [&](const ByteSink& sink) { return WriteRotationFile(block, found.rotations, sink); },
      progress.stop_token());
  if (!written.ok()) return TransferError(written, path);
  TaskResult result;
  result.add_files(path);
  result.mutable_rotate()->set_block(task.rotate().block());
  for (const auto& [kind, metrics] : found.metrics) {
    tern::v1::LayerRotation& layer = *result.mutable_rotate()->add_layers();
    const RotationShape shape = found.rotations.at(kind).shape;
    layer.set_layer(LinearName(block, kind));
    layer.set_n1(shape.n1);
    layer.set_n2(shape.n2);
    layer.set_loss_before(metrics.loss_before);
    layer.set_loss_after(metrics.loss_after);
    layer.set_orthogonality_error(metrics.orthogonality_error);
  }
  return result;
}

}  // namespace tern
