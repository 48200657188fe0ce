#ifndef TERN_WORKER_QUANT_LAYER_FIT_H_
#define TERN_WORKER_QUANT_LAYER_FIT_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/quant/quant_recipe.h"
#include "worker/quant/stage_clock.h"

namespace tern {

// A linear layer and the second moments of its inputs.
struct LayerProblem {
  Tensor weight;   // W[n,m], columns of dead inputs zero
  Tensor hessian;  // H[m,m], undamped
  Tensor cross;    // G[m,m]; empty: no asymmetric calibration
  Tensor inverse;  // (H + damping·I)⁻¹[m,m]; empty: no compensation
};

// In what precision a group's grid is kept, and so what error the columns after it make good.
enum class GridStorage {
  kHalf,  // fp16, as checkpoints store it
  kFloat  // float32, as the authors' code computes: for comparing with its results
};

// A fitted layer, in the order of quantization: with c the position of a column and b its group,
//   Ŵ[r, order[c]] = alpha[b, r]·T[r, c] + mu[b, r].
struct LayerFit {
  Tensor order;               // I32 [1,m], columns of the weight
  Tensor trits;               // I8, n·m elements: each group's [n,g] after the one before
  Tensor alpha, mu;           // [groups, n]
  int64_t rounds = 0;         // of ITF, summed over rows and groups
  int64_t constant_rows = 0;  // rows of groups whose T is constant
};

// PT²-LLM on one layer, group after group: choose the columns, fit their grid, compensate the error
// in the columns after them. Hinv is downdated from group to group, so the whole is O(m³ + n·m²).
//
// Nothing is returned when a group's block of the inverse is not positive definite or the grid not
// finite: the caller damps more and tries again. CANCELLED when `cancelled`, asked before every
// group, says so.
absl::StatusOr<std::optional<LayerFit>> FitLayer(Backend& backend, const QuantRecipe& options,
                                                 const LayerProblem& problem, GridStorage storage,
                                                 const std::function<bool()>& cancelled,
                                                 StageClock& clock);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_LAYER_FIT_H_
