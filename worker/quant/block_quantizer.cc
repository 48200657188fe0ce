#include "worker/quant/block_quantizer.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/quant/block_progress.h"
#include "worker/quant/block_streams.h"
#include "worker/quant/stage_clock.h"

namespace tern {
namespace {

// H and, for asymmetric calibration, G of one set's inputs.
struct Moments {
  Tensor hessian, cross;
};

class BlockQuantization {
 public:
  BlockQuantization(Backend& backend, const ModelConfig& config, const Pt2LlmOptions& options,
                    const TaskControl& control, CalibrationState& state, BlockStreams& streams)
      : backend_(backend),
        config_(config),
        options_(options),
        control_(control),
        state_(state),
        streams_(streams),
        progress_(config, state.tokens(), !state.full_precision.empty(), control),
        clock_(backend) {}

  absl::StatusOr<QuantizedBlock> Run() {
    for (const std::vector<LinearKind>& set : CalibrationSets()) {
      TERN_RETURN_IF_ERROR(QuantizeSet(set));
    }
    TERN_RETURN_IF_ERROR(clock_.Enter(kForwardStage));
    for (int64_t batch = 0; batch < streams_.batches(); ++batch) {
      TERN_RETURN_IF_ERROR(control_.Check());
      TERN_RETURN_IF_ERROR(streams_.Finish(batch));
      progress_.FinishedBatch(streams_.batches());
    }
    TERN_RETURN_IF_ERROR(clock_.Stop());
    ++state_.next_block;
    Summarize();
    TERN_ASSIGN_OR_RETURN(block_.metrics.seconds, clock_.TakeSeconds());
    return std::move(block_);
  }

 private:
  absl::Status QuantizeSet(const std::vector<LinearKind>& set) {
    TERN_ASSIGN_OR_RETURN(const Moments moments, Calibrate(set.front()));
    TERN_ASSIGN_OR_RETURN(
        LayerQuantizer quantizer,
        LayerQuantizer::Create(backend_, options_, moments.hessian, moments.cross, clock_));
    for (const LinearKind kind : set) {
      TERN_RETURN_IF_ERROR(control_.Check());
      TERN_ASSIGN_OR_RETURN(const Tensor weight,
                            ExactWeight(backend_, kind, streams_.quantized_weights()));
      absl::StatusOr<QuantizedLayer> quantized = quantizer.Quantize(weight, control_.cancelled);
      if (!quantized.ok()) return Named(kind, quantized.status());
      TERN_RETURN_IF_ERROR(clock_.Enter(kForwardStage));
      TERN_RETURN_IF_ERROR(
          UseTernaryWeight(backend_, kind, quantized->layer, streams_.quantized_weights()));
      TERN_RETURN_IF_ERROR(clock_.Stop());
      block_.metrics.layers[kind] = quantized->metrics;
      block_.layers[kind] = std::move(quantized->layer);
      progress_.QuantizedLayer(kind);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Moments> Calibrate(LinearKind set) {
    const int64_t m = ShapeOf(config_, set).cols;
    Moments moments;
    TERN_ASSIGN_OR_RETURN(moments.hessian, backend_.Allocate(ElementType::kF32, m, m));
    TERN_RETURN_IF_ERROR(backend_.Zero(moments.hessian));
    if (NeedsFullPrecision(options_)) {
      TERN_ASSIGN_OR_RETURN(moments.cross, backend_.Allocate(ElementType::kF32, m, m));
      TERN_RETURN_IF_ERROR(backend_.Zero(moments.cross));
    }
    for (int64_t batch = 0; batch < streams_.batches(); ++batch) {
      TERN_RETURN_IF_ERROR(control_.Check());
      TERN_RETURN_IF_ERROR(clock_.Enter(kForwardStage));
      TERN_ASSIGN_OR_RETURN(const BlockStreams::Inputs inputs, streams_.Next(set, batch));
      TERN_RETURN_IF_ERROR(clock_.Enter(kMomentsStage));
      TERN_RETURN_IF_ERROR(backend_.AccumulateGram(inputs.quantized, moments.hessian));
      if (!moments.cross.empty()) {
        TERN_RETURN_IF_ERROR(
            backend_.AccumulateCross(inputs.full_precision, inputs.quantized, moments.cross));
      }
      progress_.CalibratedBatch(set, streams_.batches());
    }
    const double scale = 1.0 / static_cast<double>(state_.tokens());
    TERN_RETURN_IF_ERROR(backend_.FinishMoment(moments.hessian, scale, /*symmetric=*/true));
    if (!moments.cross.empty()) {
      TERN_RETURN_IF_ERROR(backend_.FinishMoment(moments.cross, scale, /*symmetric=*/false));
    }
    return moments;
  }

  absl::Status Named(LinearKind kind, const absl::Status& status) const {
    return absl::Status(status.code(),
                        absl::StrCat(LinearName(state_.next_block, kind), ": ", status.message()));
  }

  void Summarize() {
    BlockMetrics& metrics = block_.metrics;
    double error = 0;
    double energy = 0;
    int64_t bytes = 0;
    int64_t weights = 0;
    for (const auto& [kind, layer] : block_.layers) {
      error += metrics.layers.at(kind).output_error;
      energy += metrics.layers.at(kind).output_energy;
      bytes += layer.stored_bytes();
      weights += layer.rows * layer.cols;
    }
    if (energy > 0) metrics.relative_error = error / energy;
    metrics.bits_per_weight = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
    metrics.tokens = state_.tokens();
  }

  Backend& backend_;
  const ModelConfig& config_;
  const Pt2LlmOptions& options_;
  const TaskControl& control_;
  CalibrationState& state_;
  BlockStreams& streams_;
  BlockProgress progress_;
  StageClock clock_;
  QuantizedBlock block_;
};

}  // namespace

absl::StatusOr<QuantizedBlock> QuantizeBlock(Backend& backend, const ModelConfig& config,
                                             const BlockWeights& weights,
                                             const Pt2LlmOptions& options,
                                             const TaskControl& control, CalibrationState& state) {
  TERN_RETURN_IF_ERROR(ValidateOptions(options));
  if (NeedsFullPrecision(options) && state.full_precision.empty()) {
    return absl::FailedPreconditionError(
        "gptaq needs a calibration state with the full-precision stream");
  }
  TERN_ASSIGN_OR_RETURN(BlockStreams streams,
                        BlockStreams::Create(backend, config, weights, state));
  return BlockQuantization(backend, config, options, control, state, streams).Run();
}

}  // namespace tern
