#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/block_file.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/rotation_file.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/status_macros.h"
#include "proto/service/block_stages.h"
#include "proto/service/job_inputs.h"
#include "worker/agent/method_options.h"
#include "worker/agent/tasks.h"
#include "worker/model/block_weights.h"
#include "worker/model/weight_source.h"
#include "worker/quant/block_quantizer.h"

namespace tern {
namespace {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

// Shares of a task's time, for its fraction: making the calibration state where it is not held,
// and what follows the quantization.
constexpr double kRebuildShare = 0.3;
constexpr double kUploadShare = 0.02;

// Computes one block, given the state before it or making that; given that, it touches nothing of
// the tools but the backend and the weights.
class BlockComputation {
 public:
  BlockComputation(TaskTools& tools, const Task& task, std::shared_ptr<const ModelFolder> model,
                   const QuantRecipe& options, BlockRotations rotations, int64_t block,
                   TaskProgress& progress)
      : tools_(tools),
        task_(task),
        model_(std::move(model)),
        options_(options),
        rotations_(std::move(rotations)),
        block_(block),
        progress_(progress) {}

  absl::StatusOr<ComputedBlock> Run(std::optional<CalibrationState> state) {
    ComputedBlock computed;
    if (state.has_value()) {
      computed.state = *std::move(state);
    } else {
      progress_.EnterStage(kRebuildStage);
      TERN_ASSIGN_OR_RETURN(computed.state, Rebuild());
    }
    progress_.EnterStage(kLoadStage);
    TERN_ASSIGN_OR_RETURN(computed.quantized, Quantize(computed.state));
    computed.seconds = progress_.seconds();
    return computed;
  }

 private:
  // The full-precision prefix up to the shard's first block, then both streams through the blocks
  // committed since.
  absl::StatusOr<CalibrationState> Rebuild() {
    const ModelConfig& config = model_->config();
    const int64_t first_block = task_.quantize().shard_first_block();
    TERN_ASSIGN_OR_RETURN(
        const auto windows,
        tools_.inputs.Windows(task_.job_uid(), kCalibrationInput, progress_.stop_token()));
    TERN_ASSIGN_OR_RETURN(const PackedFormat format, FormatOf(task_.spec()));
    const auto full = FullPrecisionWeights(*model_);
    const auto quantized = QuantizedWeights(*model_, [&](int64_t block) {
      return ReadCommittedLayers(tools_.blobs, task_.job_uid(), config, format, block,
                                 progress_.stop_token());
    });
    const CalibrationStreams streams =
        ChooseStreams(tools_.backend, config, options_, static_cast<int64_t>(windows->ids.size()),
                      windows->length);
    TERN_ASSIGN_OR_RETURN(CalibrationState state,
                          StartCalibration(tools_.backend, *full, windows->ids, windows->length,
                                           first_block, streams, Cancelled()));
    while (state.next_block < block_) {
      progress_.Show(kRebuildShare * static_cast<double>(state.next_block - first_block) /
                     static_cast<double>(block_ - first_block));
      BlockWeights full_weights;
      if (streams.full_precision) {
        TERN_ASSIGN_OR_RETURN(full_weights, full->Block(tools_.backend, state.next_block));
      }
      TERN_ASSIGN_OR_RETURN(const BlockWeights weights,
                            quantized->Block(tools_.backend, state.next_block));
      TERN_RETURN_IF_ERROR(
          AdvanceCalibration(tools_.backend, config, full_weights, weights, Cancelled(), state));
    }
    if (block_ > 0) tools_.metrics.CountStateRebuild();
    progress_.Show(kRebuildShare);
    return state;
  }

  absl::StatusOr<QuantizedBlock> Quantize(CalibrationState& state) {
    TERN_ASSIGN_OR_RETURN(const BlockWeights weights, tools_.weights.Take(model_, block_));
    progress_.LeaveStage();  // what follows keeps its own time
    const double start = progress_.snapshot().fraction;
    const TaskControl control = {.progress =
                                     [&](absl::string_view stage, double fraction) {
                                       progress_.Show(
                                           stage, start + (1 - kUploadShare - start) * fraction);
                                     },
                                 .cancelled = Cancelled()};
    return QuantizeBlock(tools_.backend, model_->config(), weights, options_, rotations_, control,
                         state);
  }

  std::function<bool()> Cancelled() const {
    return [this] { return progress_.stopped(); };
  }

  TaskTools& tools_;
  const Task& task_;
  const std::shared_ptr<const ModelFolder> model_;
  const QuantRecipe& options_;
  const BlockRotations rotations_;
  const int64_t block_;
  TaskProgress& progress_;
};

class BlockTask {
 public:
  BlockTask(TaskTools& tools, const Task& task, TaskProgress& progress)
      : tools_(tools), task_(task), block_(task.quantize().block()), progress_(progress) {}

  absl::StatusOr<TaskResult> Run() {
    TERN_ASSIGN_OR_RETURN(options_, MethodOptions(task_.spec()));
    TERN_ASSIGN_OR_RETURN(model_, tools_.inputs.Model(task_, tools_.threads, progress_));
    if (task_.quantize().shard_goes_on()) {
      tools_.weights.Start(model_, block_ + 1);
    } else {
      tools_.weights.KeepOnly(model_, block_);
    }
    TERN_ASSIGN_OR_RETURN(ComputedBlock computed, Compute());
    if (task_.quantize().shard_goes_on()) ComputeNext(std::move(computed.state));
    if (absl::Status uploaded = Upload(computed.quantized.layers); !uploaded.ok()) {
      tools_.ahead.Drop();
      return uploaded;
    }
    return Result(computed.quantized.metrics, std::move(computed.seconds));
  }

 private:
  BlockAhead::Key Key(int64_t block) const {
    return {task_.job_uid(), task_.quantize().shard(), block};
  }

  absl::StatusOr<ComputedBlock> Compute() {
    auto ahead = tools_.ahead.Take(Key(block_), progress_);
    if (ahead.has_value()) return *std::move(ahead);
    TERN_ASSIGN_OR_RETURN(std::optional<BlockRotations> rotations, Rotations(block_));
    if (!rotations.has_value()) {
      return absl::UnavailableError(
          absl::StrCat(RotationsFile(block_), ": not committed, though the block was handed out"));
    }
    std::optional<CalibrationState> state = tools_.ahead.TakeState(Key(block_));
    absl::StatusOr<ComputedBlock> computed =
        BlockComputation(tools_, task_, model_, options_, *std::move(rotations), block_, progress_)
            .Run(std::move(state));
    if (computed.ok()) computed->seconds.clear();  // they are this task's own, in progress_
    return computed;
  }

  // Of a block; none of a block that is not rotated, nothing where they are not committed yet.
  absl::StatusOr<std::optional<BlockRotations>> Rotations(int64_t block) {
    if (!options_.rotation.has_value()) return BlockRotations();
    const std::string path = RotationsFile(block);
    auto bytes = tools_.blobs.Read(task_.job_uid(), path, progress_.stop_token());
    if (absl::IsNotFound(bytes.status())) return std::nullopt;
    if (!bytes.ok()) return TransferError(bytes.status(), path);
    TERN_ASSIGN_OR_RETURN(const PackedFormat format, FormatOf(task_.spec()));
    TERN_ASSIGN_OR_RETURN(const auto reader, SafetensorsReader::Parse(*bytes, path));
    TERN_ASSIGN_OR_RETURN(BlockRotations rotations,
                          ReadRotationFile(*reader, model_->config(), format, block));
    return rotations;
  }

  void ComputeNext(CalibrationState state) {
    absl::StatusOr<std::optional<BlockRotations>> rotations = Rotations(block_ + 1);
    // What is wrong with them is the next block's to say.
    if (!rotations.ok() || !rotations->has_value()) {
      tools_.ahead.Hold(Key(block_ + 1), std::move(state));
      return;
    }
    // A computation ahead outlives this task, not the runner that owns both it and the tools.
    auto held = std::make_shared<CalibrationState>(std::move(state));
    tools_.ahead.Start(
        Key(block_ + 1), [&tools = tools_, task = task_, model = model_, options = options_,
                          rotations = **std::move(rotations), block = block_ + 1,
                          held = std::move(held)](TaskProgress& progress) {
          return BlockComputation(tools, task, model, options, rotations, block, progress)
              .Run(std::move(*held));
        });
  }

  absl::Status Upload(const BlockLayers& layers) {
    progress_.EnterStage(kUploadStage);
    const std::string file = BlockFileName(block_);
    const absl::Status written = tools_.blobs.Write(
        task_.lease(), file,
        [&](const ByteSink& sink) { return WriteBlockFile(*model_, block_, layers, sink); },
        progress_.stop_token());
    progress_.LeaveStage();
    return written.ok() ? written : TransferError(written, file);
  }

  TaskResult Result(const BlockMetrics& metrics, std::map<std::string, double> seconds) {
    for (const auto& [stage, spent] : metrics.seconds) seconds[stage] += spent;
    for (const auto& [stage, spent] : progress_.seconds()) seconds[stage] += spent;
    double total = 0;
    for (const auto& [stage, spent] : seconds) {
      tools_.metrics.ObserveBlockStage(stage, spent);
      total += spent;
    }
    tools_.metrics.CountCalibratedTokens(metrics.tokens);

    TaskResult result;
    result.add_files(BlockFileName(block_));
    result.mutable_seconds()->insert(seconds.begin(), seconds.end());
    tern::v1::BlockMetrics& block = *result.mutable_block();
    block.set_block(task_.quantize().block());
    block.set_shard(task_.quantize().shard());
    for (const auto& [kind, layer] : metrics.layers) AddLayer(kind, layer, block);
    block.set_bits_per_weight(metrics.bits_per_weight);
    block.mutable_seconds()->insert(seconds.begin(), seconds.end());
    block.set_tokens(metrics.tokens);
    if (total > 0) block.set_tokens_per_second(static_cast<double>(metrics.tokens) / total);
    block.set_worker(tools_.worker_id);
    return result;
  }

  void AddLayer(LinearKind kind, const LayerMetrics& metrics, tern::v1::BlockMetrics& block) {
    const LinearShape shape = ShapeOf(model_->config(), kind);
    tern::v1::LayerMetrics& layer = *block.add_layers();
    layer.set_layer(LinearName(block_, kind));
    layer.set_rows(shape.rows);
    layer.set_cols(shape.cols);
    layer.set_reconstruction_error(metrics.relative_error);
    layer.set_bits_per_weight(metrics.bits_per_weight);
    layer.set_damping(metrics.damping);
    layer.set_compensation_fallback(metrics.compensation_lost);
    layer.set_dead_inputs(metrics.dead_inputs);
    layer.set_itf_rounds(metrics.itf_rounds);
    for (const auto& [bits, ratio] : metrics.clip_ratios) {
      (*layer.mutable_clip_ratios())[bits] = ratio;
    }
    tools_.metrics.ObserveReconstructionError(metrics.relative_error);
    // The mean of what has been added so far.
    block.set_reconstruction_error(block.reconstruction_error() +
                                   (metrics.relative_error - block.reconstruction_error()) /
                                       block.layers_size());
  }

  TaskTools& tools_;
  const Task& task_;
  const int64_t block_;
  TaskProgress& progress_;
  QuantRecipe options_;
  std::shared_ptr<const ModelFolder> model_;
};

}  // namespace

absl::StatusOr<TaskResult> RunQuantize(TaskTools& tools, const Task& task, TaskProgress& progress) {
  return BlockTask(tools, task, progress).Run();
}

}  // namespace tern
