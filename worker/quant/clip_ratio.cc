#include "worker/quant/clip_ratio.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/quant/slice.h"

namespace tern {
namespace {

constexpr int64_t kOutputElements = int64_t{64} << 20;

// Rows whose errors and outputs are computed at once.
int64_t RowsAtOnce(const ClippedLayer& layer) {
  return std::clamp<int64_t>(kOutputElements / layer.weight.rows(), 1, layer.x.rows());
}

class ClipRatioFit {
 public:
  ClipRatioFit(Backend& backend, std::span<const ClippedLayer> layers, std::span<const int> bits)
      : backend_(backend), layers_(layers), bits_(bits) {}

  absl::StatusOr<std::vector<ClipRatios>> Run() {
    const auto candidates = static_cast<int64_t>(CandidateClipRatios().size());
    const auto sums = static_cast<int64_t>(layers_.size() * bits_.size()) * candidates;
    if (sums == 0) return std::vector<ClipRatios>(layers_.size());
    TERN_RETURN_IF_ERROR(AllocateScratch());
    TERN_ASSIGN_OR_RETURN(const Tensor losses, backend_.Allocate(ElementType::kF32, sums, 1));
    TERN_RETURN_IF_ERROR(backend_.Zero(losses));
    int64_t next = 0;
    for (const ClippedLayer& layer : layers_) {
      for (const int bits : bits_) {
        for (const double ratio : CandidateClipRatios()) {
          TERN_RETURN_IF_ERROR(AddLoss(layer, bits, ratio, losses.Rows(next++, 1)));
        }
      }
    }
    std::vector<float> values(sums);
    TERN_RETURN_IF_ERROR(backend_.Download(losses, values.data()));
    return Choose(values);
  }

 private:
  absl::Status AllocateScratch() {
    int64_t errors = 0;
    int64_t outputs = 0;
    for (const ClippedLayer& layer : layers_) {
      assert(layer.x.cols() == layer.weight.cols() && layer.x.type() == layer.weight.type());
      errors = std::max(errors, RowsAtOnce(layer) * layer.x.cols());
      outputs = std::max(outputs, RowsAtOnce(layer) * layer.weight.rows());
    }
    TERN_ASSIGN_OR_RETURN(error_, backend_.Allocate(layers_.front().x.type(), 1, errors));
    TERN_ASSIGN_OR_RETURN(output_, backend_.Allocate(ElementType::kF32, 1, outputs));
    return absl::OkStatus();
  }

  absl::Status AddLoss(const ClippedLayer& layer, int bits, double ratio, const Tensor& loss) {
    const int64_t step = RowsAtOnce(layer);
    for (int64_t row = 0; row < layer.x.rows(); row += step) {
      const int64_t rows = std::min(step, layer.x.rows() - row);
      const Tensor error = Slice(error_, 0, rows, layer.x.cols());
      const Tensor output = Slice(output_, 0, rows, layer.weight.rows());
      TERN_RETURN_IF_ERROR(
          backend_.activations().QuantizationError(layer.x.Rows(row, rows), bits, ratio, error));
      TERN_RETURN_IF_ERROR(
          backend_.Linear(error, layer.weight, Tensor(), /*accumulate=*/false, output));
      TERN_RETURN_IF_ERROR(backend_.activations().AddSquares(output, loss));
    }
    return absl::OkStatus();
  }

  // The first of the least, as candidates fall.
  absl::StatusOr<std::vector<ClipRatios>> Choose(const std::vector<float>& losses) const {
    const std::vector<double>& candidates = CandidateClipRatios();
    std::vector<ClipRatios> ratios(layers_.size());
    auto first = losses.begin();
    for (ClipRatios& of_layer : ratios) {
      for (const int bits : bits_) {
        const auto last = first + static_cast<std::ptrdiff_t>(candidates.size());
        if (!std::all_of(first, last, [](float loss) { return std::isfinite(loss); })) {
          return absl::InvalidArgumentError(absl::StrCat(
              "clip ratio at ", bits, " bits: the layer's inputs or weights are not finite"));
        }
        of_layer[bits] = candidates[std::min_element(first, last) - first];
        first = last;
      }
    }
    return ratios;
  }

  Backend& backend_;
  const std::span<const ClippedLayer> layers_;
  const std::span<const int> bits_;
  Tensor error_, output_;
};

}  // namespace

const std::vector<double>& CandidateClipRatios() {
  static const auto& candidates = *new std::vector<double>([] {
    std::vector<double> ratios;
    for (int twentieths = 20; twentieths >= 10; --twentieths) ratios.push_back(twentieths / 20.0);
    return ratios;
  }());
  return candidates;
}

absl::StatusOr<std::vector<ClipRatios>> FitClipRatios(Backend& backend,
                                                      std::span<const ClippedLayer> layers,
                                                      std::span<const int> bits) {
  return ClipRatioFit(backend, layers, bits).Run();
}

}  // namespace tern
