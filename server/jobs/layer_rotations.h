#ifndef TERN_SERVER_JOBS_LAYER_ROTATIONS_H_
#define TERN_SERVER_JOBS_LAYER_ROTATIONS_H_

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

}  // namespace tern

#endif  // TERN_SERVER_JOBS_LAYER_ROTATIONS_H_
