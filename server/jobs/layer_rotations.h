#ifndef TERN_SERVER_JOBS_LAYER_ROTATIONS_H_
#define TERN_SERVER_JOBS_LAYER_ROTATIONS_H_

#include "absl/status/status.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/rotation_shape.h"
#include "server/jobs/method_recipe.h"

namespace tern {

// The factors of a layer under a recipe that rotates.
inline RotationShape ShapeOfRotation(const MethodRecipe& recipe, const LinearShape& layer) {
  const bool balanced = recipe.factorization == v1::TwlaMethod::FACTORIZATION_BALANCED;
  return RotationShapeOf(
      layer.rows, layer.cols,
      balanced ? RotationFactorization::kBalanced : RotationFactorization::kReleased);
}

// INVALID_ARGUMENT at the rotation for a model with layers whose factors nobody could find in
// reasonable time: those whose number of inputs has a large prime factor.
absl::Status CheckRotations(const MethodRecipe& recipe, const ModelConfig& config);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_LAYER_ROTATIONS_H_
