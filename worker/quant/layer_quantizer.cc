#include "worker/quant/layer_quantizer.h"

#include <cassert>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "checkpoint/status_macros.h"
#include "worker/quant/layer_fit.h"
#include "worker/quant/pack_layer.h"

namespace tern {
namespace {

struct InputStatistics {
  std::vector<int32_t> dead;
  double mean_diagonal = 1;  // over the inputs that are not dead
};

// The diagonal of `moment`, which `name`s it in errors, and which must be finite.
absl::StatusOr<std::vector<float>> ReadDiagonal(Backend& backend, absl::string_view name,
                                                const Tensor& moment) {
  const int64_t m = moment.rows();
  TERN_ASSIGN_OR_RETURN(const Tensor diagonal, backend.Allocate(ElementType::kF32, 1, m));
  TERN_RETURN_IF_ERROR(backend.ternary().Diagonal(moment, diagonal));
  std::vector<float> values(m);
  TERN_RETURN_IF_ERROR(backend.Download(diagonal, values.data()));
  for (int64_t j = 0; j < m; ++j) {
    if (std::isfinite(values[j])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": the second moment of input ", j, " is ", values[j],
                     ": the model's hidden states overflow on the calibration text"));
  }
  return values;
}

absl::StatusOr<InputStatistics> MeasureInputs(Backend& backend, const Tensor& hessian) {
  const int64_t m = hessian.rows();
  TERN_ASSIGN_OR_RETURN(const std::vector<float> values, ReadDiagonal(backend, "hessian", hessian));
  InputStatistics statistics;
  double sum = 0;
  for (int64_t j = 0; j < m; ++j) {
    if (values[j] > 0) {
      sum += values[j];
    } else {
      statistics.dead.push_back(static_cast<int32_t>(j));
    }
  }
  const int64_t live = m - static_cast<int64_t>(statistics.dead.size());
  if (live > 0) statistics.mean_diagonal = sum / static_cast<double>(live);
  return statistics;
}

absl::StatusOr<Tensor> WithoutDeadInputs(Backend& backend, const Tensor& weight,
                                         const std::vector<int32_t>& dead) {
  if (dead.empty()) return weight;
  TERN_ASSIGN_OR_RETURN(Tensor live,
                        backend.Allocate(ElementType::kF32, weight.rows(), weight.cols()));
  TERN_RETURN_IF_ERROR(backend.Copy(weight, live));
  TERN_ASSIGN_OR_RETURN(const Tensor columns,
                        backend.Allocate(ElementType::kI32, 1, static_cast<int64_t>(dead.size())));
  TERN_RETURN_IF_ERROR(backend.Upload(dead.data(), columns));
  TERN_RETURN_IF_ERROR(backend.ternary().ZeroColumns(columns, live));
  return live;
}

}  // namespace

absl::StatusOr<LayerQuantizer> LayerQuantizer::Create(Backend& backend, const QuantRecipe& options,
                                                      const Tensor& hessian, const Tensor& cross,
                                                      StageClock& clock) {
  TERN_RETURN_IF_ERROR(ValidateOptions(options));
  assert(options.gptaq == 0 || !cross.empty());
  TERN_ASSIGN_OR_RETURN(InputStatistics statistics, MeasureInputs(backend, hessian));
  if (options.gptaq > 0) {
    TERN_RETURN_IF_ERROR(ReadDiagonal(backend, "full-precision stream", cross).status());
  }
  return LayerQuantizer(backend, options, hessian, options.gptaq > 0 ? cross : Tensor(),
                        statistics.mean_diagonal, std::move(statistics.dead), clock);
}

LayerQuantizer::LayerQuantizer(Backend& backend, const QuantRecipe& options, const Tensor& hessian,
                               const Tensor& cross, double mean_diagonal,
                               std::vector<int32_t> dead_inputs, StageClock& clock)
    : backend_(backend),
      options_(options),
      hessian_(hessian),
      cross_(cross),
      dead_inputs_(std::move(dead_inputs)),
      clock_(clock),
      inverses_(backend, hessian, options.damping * mean_diagonal) {}

absl::StatusOr<QuantizedLayer> LayerQuantizer::Quantize(const Tensor& weight,
                                                        const std::function<bool()>& cancelled) {
  assert(weight.cols() == hessian_.rows());
  TERN_ASSIGN_OR_RETURN(const Tensor live, WithoutDeadInputs(backend_, weight, dead_inputs_));
  LayerProblem problem{live, hessian_, cross_, Tensor()};
  QuantizedLayer quantized;
  std::optional<LayerFit> fit;
  for (int step = 0; step < DampedInverses::kSteps && !fit.has_value(); ++step) {
    quantized.metrics.damping_raises = step;
    TERN_RETURN_IF_ERROR(clock_.Enter(kFactorizeStage));
    TERN_ASSIGN_OR_RETURN(problem.inverse, inverses_.At(step));
    if (problem.inverse.empty()) continue;
    TERN_ASSIGN_OR_RETURN(
        fit, FitLayer(backend_, options_, problem, GridStorage::kHalf, cancelled, clock_));
  }
  if (!fit.has_value()) {
    quantized.metrics.compensation_lost = true;
    problem.inverse = Tensor();
    TERN_ASSIGN_OR_RETURN(
        fit, FitLayer(backend_, options_, problem, GridStorage::kHalf, cancelled, clock_));
  }
  if (!fit.has_value())
    return absl::InvalidArgumentError("weight: holds values that are not finite");

  TERN_RETURN_IF_ERROR(clock_.Enter(kMeasureStage));
  TERN_ASSIGN_OR_RETURN(const PackedTernary packed, PackFit(backend_, *fit, options_.group_size,
                                                            options_.reorder != Reorder::kNone));
  TERN_ASSIGN_OR_RETURN(quantized.layer,
                        DownloadLayer(backend_, packed, weight.cols(), options_.group_size));
  LayerMetrics& metrics = quantized.metrics;
  if (!metrics.compensation_lost) {
    metrics.damping = options_.damping * std::pow(10.0, metrics.damping_raises);
  }
  metrics.dead_inputs = static_cast<int64_t>(dead_inputs_.size());
  metrics.itf_rounds =
      static_cast<double>(fit->rounds) / static_cast<double>(fit->alpha.elements());
  metrics.constant_rows = fit->constant_rows;
  TERN_RETURN_IF_ERROR(Measure(weight, packed, quantized));
  TERN_RETURN_IF_ERROR(clock_.Stop());
  return quantized;
}

absl::Status LayerQuantizer::Measure(const Tensor& weight, const PackedTernary& packed,
                                     QuantizedLayer& quantized) {
  LayerMetrics& metrics = quantized.metrics;
  metrics.bits_per_weight = 8.0 * static_cast<double>(quantized.layer.stored_bytes()) /
                            static_cast<double>(weight.elements());
  TERN_ASSIGN_OR_RETURN(const Tensor stored,
                        backend_.Allocate(ElementType::kF32, weight.rows(), weight.cols()));
  TernaryOps& ops = backend_.ternary();
  TERN_RETURN_IF_ERROR(ops.Unpack(packed, options_.group_size, stored));
  TERN_ASSIGN_OR_RETURN(metrics.output_error, ops.OutputEnergy(weight, stored, hessian_));
  TERN_ASSIGN_OR_RETURN(metrics.output_energy, ops.OutputEnergy(weight, Tensor(), hessian_));
  if (!std::isfinite(metrics.output_error) || !std::isfinite(metrics.output_energy)) {
    return absl::InvalidArgumentError("weight: its outputs overflow on the calibration text");
  }
  if (metrics.output_energy > 0) {
    metrics.relative_error = metrics.output_error / metrics.output_energy;
  }
  return absl::OkStatus();
}

}  // namespace tern
