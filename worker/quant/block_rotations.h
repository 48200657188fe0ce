#ifndef TERN_WORKER_QUANT_BLOCK_ROTATIONS_H_
#define TERN_WORKER_QUANT_BLOCK_ROTATIONS_H_

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "checkpoint/rotation_file.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"
#include "worker/quant/quant_recipe.h"
#include "worker/quant/task_control.h"

namespace tern {

// How a layer's rotation came out.
struct RotationMetrics {
  double loss_before = 0, loss_after = 0;  // KOTMS's objective, without and with the rotation
  double orthogonality_error = 0;          // max|r·rᵀ - I| of the stored factors
};

struct FoundRotations {
  BlockRotations rotations;
  std::map<LinearKind, RotationMetrics> metrics;
};

// The rotations of a block's linear layers, as the recipe has them, each from the layer's weight
// alone. Errors name the layer: those of LearnRotation, and INVALID_ARGUMENT for a recipe without a
// rotation. A random rotation depends on the recipe's seed and the layer's place in the model.
absl::StatusOr<FoundRotations> FindRotations(Backend& backend, int64_t block,
                                             const BlockWeights& weights, const QuantRecipe& recipe,
                                             const TaskControl& control);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_BLOCK_ROTATIONS_H_
