#ifndef TERN_WORKER_QUANT_CLIP_RATIO_H_
#define TERN_WORKER_QUANT_CLIP_RATIO_H_

#include <map>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"

namespace tern {

// A linear layer as it computes with low-bit activations.
struct ClippedLayer {
  Tensor x;       // [t,m] calibration inputs, rotated where the layer is; activations
  Tensor weight;  // [n,m] the stored weight (Ŷ of TernaryLayer), of the type of x
};

// Clip ratios of one layer, by width.
using ClipRatios = std::map<int, double>;

// The ratios that are tried, in falling order: 1.00, 0.95, … 0.50.
const std::vector<double>& CandidateClipRatios();

// For every layer and every width in `bits` (2 … 8) the ratio p among the candidates that minimises
//   ‖(Q_p(x) - x)·weightᵀ‖²,
// the larger of equals, Q_p being ActivationOps::Quantize. Waits for the device once, whatever the
// numbers of layers, widths and candidates. Memory: an input, and outputs of at most 64 Mi
// elements.
//
// INVALID_ARGUMENT where inputs or weights are not finite.
absl::StatusOr<std::vector<ClipRatios>> FitClipRatios(Backend& backend,
                                                      std::span<const ClippedLayer> layers,
                                                      std::span<const int> bits);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_CLIP_RATIO_H_
