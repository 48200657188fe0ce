#ifndef TERN_WORKER_QUANT_LAYER_QUANTIZER_H_
#define TERN_WORKER_QUANT_LAYER_QUANTIZER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/ternary_layer.h"
#include "worker/backend/backend.h"
#include "worker/quant/damped_inverses.h"
#include "worker/quant/quant_recipe.h"
#include "worker/quant/stage_clock.h"

namespace tern {

// How a layer came out. E = W - Ŵ, Ŵ as stored; H is the undamped Hessian.
struct LayerMetrics {
  double output_error = 0;            // tr(E·H·Eᵀ)
  double output_energy = 0;           // tr(W·H·Wᵀ)
  double relative_error = 0;          // the former over the latter; 0 where both are
  double bits_per_weight = 0;         // from stored bytes, permutation included
  double damping = 0;                 // used, in shares of H's mean diagonal; 0: compensation lost
  int damping_raises = 0;             // tenfold each, until every factorisation succeeded
  bool compensation_lost = false;     // none did: groups were quantized without compensation
  int64_t dead_inputs = 0;            // inputs that calibration never saw other than 0
  double itf_rounds = 0;              // mean over rows and groups
  int64_t constant_rows = 0;          // rows of groups whose T is constant
  std::map<int, double> clip_ratios;  // by width, where activations may be quantized
};

struct QuantizedLayer {
  TernaryLayer layer;
  LayerMetrics metrics;
};

// Quantizes linear layers that share their input, and so its moments, by a recipe; in rotated space
// where they are rotated (rotated_layer.h).
//
// Dead inputs (H_jj = 0) get weight 0 and count as H_jj = 1 in the damped H; damping is in shares
// of the mean diagonal over the others. AGA and the metrics use the undamped H. When a
// factorisation fails the layer is tried again with ten times the damping, at most four times, and
// then without compensation; its metrics say so.
//
// Thread-compatible. Results depend on the arguments alone.
class LayerQuantizer {
 public:
  // hessian[m,m] = XᵀX/N, both triangles; cross[m,m] = X_fpᵀX/N, needed unless options.gptaq is 0.
  // `clock` must outlive the quantizer. INVALID_ARGUMENT for options out of range and moments that
  // are not finite.
  static absl::StatusOr<LayerQuantizer> Create(Backend& backend, const QuantRecipe& options,
                                               const Tensor& hessian, const Tensor& cross,
                                               StageClock& clock);

  // weight[n,m] float32, not changed. CANCELLED when `cancelled` (may be empty) returns true; it is
  // asked before every group.
  absl::StatusOr<QuantizedLayer> Quantize(const Tensor& weight,
                                          const std::function<bool()>& cancelled);

 private:
  LayerQuantizer(Backend& backend, const QuantRecipe& options, const Tensor& hessian,
                 const Tensor& cross, double mean_diagonal, std::vector<int32_t> dead_inputs,
                 StageClock& clock);

  absl::Status Measure(const Tensor& weight, const PackedTernary& packed,
                       QuantizedLayer& quantized);

  Backend& backend_;
  const QuantRecipe options_;
  const Tensor hessian_;
  const Tensor cross_;
  const std::vector<int32_t> dead_inputs_;
  StageClock& clock_;
  DampedInverses inverses_;
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_LAYER_QUANTIZER_H_
