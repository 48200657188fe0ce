#include "worker/quant/block_quantizer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/quant/block_progress.h"
#include "worker/quant/block_streams.h"
#include "worker/quant/clip_ratio.h"
#include "worker/quant/rotated_layer.h"
#include "worker/quant/stage_clock.h"

namespace tern {
namespace {

// Of the inputs of one set of layers.
struct SetCalibration {
  Tensor hessian, cross;  // H and, for asymmetric calibration, G
  Tensor sample;          // some of the inputs themselves, where clip ratios are fitted to them
};

// Inputs that clip ratios are fitted to: the first so many tokens.
constexpr int64_t kClipTokens = 2048;

class BlockQuantization {
 public:
  BlockQuantization(Backend& backend, const ModelConfig& config, const QuantRecipe& options,
                    const BlockRotations& rotations, const TaskControl& control,
                    CalibrationState& state, BlockStreams& streams)
      : backend_(backend),
        config_(config),
        options_(options),
        rotations_(rotations),
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
    TERN_ASSIGN_OR_RETURN(const SetCalibration calibration, Calibrate(set.front()));
    std::optional<LayerQuantizer> shared;  // the inverse of H, of layers that are not rotated
    for (const LinearKind kind : set) {
      TERN_RETURN_IF_ERROR(control_.Check());
      TERN_ASSIGN_OR_RETURN(const Tensor weight,
                            ExactWeight(backend_, kind, streams_.quantized_weights()));
      absl::StatusOr<QuantizedLayer> quantized =
          rotations_.empty() ? Quantize(weight, calibration, shared)
                             : QuantizeRotated(weight, calibration, rotations_.at(kind));
      if (!quantized.ok()) return Named(kind, quantized.status());
      TERN_RETURN_IF_ERROR(clock_.Enter(kForwardStage));
      TERN_RETURN_IF_ERROR(
          UseTernaryWeight(backend_, kind, quantized->layer, streams_.quantized_weights()));
      TERN_RETURN_IF_ERROR(clock_.Stop());
      block_.metrics.layers[kind] = quantized->metrics;
      block_.layers[kind] = std::move(quantized->layer);
      progress_.QuantizedLayer(kind);
    }
    if (!calibration.sample.empty()) TERN_RETURN_IF_ERROR(FitClips(set, calibration.sample));
    return absl::OkStatus();
  }

  absl::StatusOr<QuantizedLayer> Quantize(const Tensor& weight, const SetCalibration& calibration,
                                          std::optional<LayerQuantizer>& shared) {
    if (!shared.has_value()) {
      TERN_ASSIGN_OR_RETURN(LayerQuantizer quantizer,
                            LayerQuantizer::Create(backend_, options_, calibration.hessian,
                                                   calibration.cross, clock_));
      shared.emplace(std::move(quantizer));
    }
    return shared->Quantize(weight, control_.cancelled);
  }

  absl::StatusOr<QuantizedLayer> QuantizeRotated(const Tensor& weight,
                                                 const SetCalibration& calibration,
                                                 const StoredRotation& rotation) {
    TERN_RETURN_IF_ERROR(clock_.Enter(kRotateStage));
    TERN_ASSIGN_OR_RETURN(const RotationFactors factors, UploadRotation(backend_, rotation));
    TERN_ASSIGN_OR_RETURN(
        const RotatedLayer rotated,
        RotateLayer(backend_, factors, weight, calibration.hessian, calibration.cross));
    TERN_ASSIGN_OR_RETURN(
        LayerQuantizer quantizer,
        LayerQuantizer::Create(backend_, options_, rotated.hessian, rotated.cross, clock_));
    TERN_ASSIGN_OR_RETURN(QuantizedLayer quantized,
                          quantizer.Quantize(rotated.weight, control_.cancelled));
    quantized.layer.rotation = rotation;
    quantized.metrics.bits_per_weight = 8.0 * static_cast<double>(quantized.layer.stored_bytes()) /
                                        static_cast<double>(weight.elements());
    return quantized;
  }

  // Of the set's layers, which are quantized.
  absl::Status FitClips(const std::vector<LinearKind>& set, const Tensor& sample) {
    TERN_RETURN_IF_ERROR(clock_.Enter(kClipStage));
    std::vector<ClippedLayer> layers;
    for (const LinearKind kind : set) {
      const TernaryLayer& layer = block_.layers.at(kind);
      ClippedLayer clipped{.x = sample, .weight = {}};
      if (layer.rotation.has_value()) {
        TERN_ASSIGN_OR_RETURN(const RotationFactors factors,
                              UploadRotation(backend_, *layer.rotation));
        TERN_ASSIGN_OR_RETURN(clipped.x,
                              backend_.Allocate(sample.type(), sample.rows(), sample.cols()));
        TERN_RETURN_IF_ERROR(
            backend_.rotation().RotateRows(sample, factors.r1, factors.r2, clipped.x));
      }
      TERN_ASSIGN_OR_RETURN(clipped.weight, StoredWeight(backend_, layer, sample.type()));
      layers.push_back(std::move(clipped));
    }
    TERN_ASSIGN_OR_RETURN(const std::vector<ClipRatios> ratios,
                          FitClipRatios(backend_, layers, options_.activation_bits));
    for (size_t i = 0; i < set.size(); ++i)
      block_.metrics.layers.at(set[i]).clip_ratios = ratios[i];
    return clock_.Stop();
  }

  absl::StatusOr<SetCalibration> Calibrate(LinearKind set) {
    const int64_t m = ShapeOf(config_, set).cols;
    SetCalibration calibration;
    TERN_ASSIGN_OR_RETURN(calibration.hessian, backend_.Allocate(ElementType::kF32, m, m));
    TERN_RETURN_IF_ERROR(backend_.Zero(calibration.hessian));
    if (NeedsFullPrecision(options_)) {
      TERN_ASSIGN_OR_RETURN(calibration.cross, backend_.Allocate(ElementType::kF32, m, m));
      TERN_RETURN_IF_ERROR(backend_.Zero(calibration.cross));
    }
    for (int64_t batch = 0; batch < streams_.batches(); ++batch) {
      TERN_RETURN_IF_ERROR(control_.Check());
      TERN_RETURN_IF_ERROR(clock_.Enter(kForwardStage));
      TERN_ASSIGN_OR_RETURN(const BlockStreams::Inputs inputs, streams_.Next(set, batch));
      TERN_RETURN_IF_ERROR(clock_.Enter(kMomentsStage));
      TERN_RETURN_IF_ERROR(backend_.AccumulateGram(inputs.quantized, calibration.hessian));
      if (!calibration.cross.empty()) {
        TERN_RETURN_IF_ERROR(
            backend_.AccumulateCross(inputs.full_precision, inputs.quantized, calibration.cross));
      }
      if (batch == 0 && !options_.activation_bits.empty()) {
        TERN_ASSIGN_OR_RETURN(calibration.sample, SampleOf(inputs.quantized));
      }
      progress_.CalibratedBatch(set, streams_.batches());
    }
    const double scale = 1.0 / static_cast<double>(state_.tokens());
    TERN_RETURN_IF_ERROR(backend_.FinishMoment(calibration.hessian, scale, /*symmetric=*/true));
    if (!calibration.cross.empty()) {
      TERN_RETURN_IF_ERROR(backend_.FinishMoment(calibration.cross, scale, /*symmetric=*/false));
    }
    return calibration;
  }

  absl::StatusOr<Tensor> SampleOf(const Tensor& inputs) {
    const Tensor first = inputs.Rows(0, std::min(kClipTokens, inputs.rows()));
    TERN_ASSIGN_OR_RETURN(Tensor sample,
                          backend_.Allocate(first.type(), first.rows(), first.cols()));
    TERN_RETURN_IF_ERROR(backend_.Copy(first, sample));
    return sample;
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
  const QuantRecipe& options_;
  const BlockRotations& rotations_;
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
                                             const QuantRecipe& options,
                                             const BlockRotations& rotations,
                                             const TaskControl& control, CalibrationState& state) {
  TERN_RETURN_IF_ERROR(ValidateOptions(options));
  if (options.rotation.has_value() == rotations.empty()) {
    return absl::FailedPreconditionError(
        "rotation: a recipe with rotation needs those of the block, and one without it none");
  }
  if (NeedsFullPrecision(options) && state.full_precision.empty()) {
    return absl::FailedPreconditionError(
        "gptaq needs a calibration state with the full-precision stream");
  }
  TERN_ASSIGN_OR_RETURN(BlockStreams streams,
                        BlockStreams::Create(backend, config, weights, state));
  return BlockQuantization(backend, config, options, rotations, control, state, streams).Run();
}

}  // namespace tern
