#include "worker/quant/block_rotations.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/block_stages.h"
#include "worker/quant/hadamard_rotation.h"
#include "worker/quant/kotms.h"
#include "worker/quant/rotation.h"

namespace tern {
namespace {

// Layers whose seeds are neighbours must not look alike: HadamardRotation mixes them.
uint64_t SeedOf(uint64_t seed, int64_t block, LinearKind kind) {
  return seed + static_cast<uint64_t>(block) * LinearKinds().size() + static_cast<uint64_t>(kind) +
         1;
}

// A random rotation, measured as a learned one is.
absl::StatusOr<LearnedRotation> RandomRotation(Backend& backend, const Tensor& weight,
                                               const RotationShape& shape, uint64_t seed) {
  LearnedRotation random;
  random.rotation = HadamardRotation(shape, seed);
  TERN_ASSIGN_OR_RETURN(const RotationFactors factors, UploadRotation(backend, random.rotation));
  random.orthogonality_error = OrthogonalityError(random.rotation);
  TERN_ASSIGN_OR_RETURN(const MixtureLosses losses,
                        MeasureRotation(backend, weight, factors, MixtureObjective::kReleased));
  random.loss_before = losses.before;
  random.loss_after = losses.after;
  return random;
}

absl::StatusOr<LearnedRotation> FindRotation(Backend& backend, const Tensor& weight,
                                             const QuantRecipe& recipe, uint64_t seed,
                                             const TaskControl& control) {
  const RotationShape shape =
      RotationShapeOf(weight.rows(), weight.cols(), recipe.rotation->factorization);
  return recipe.rotation->kind == RotationKind::kKotms
             ? LearnRotation(backend, weight, shape, recipe.kotms, control.cancelled)
             : RandomRotation(backend, weight, shape, seed);
}

}  // namespace

absl::StatusOr<FoundRotations> FindRotations(Backend& backend, int64_t block,
                                             const BlockWeights& weights, const QuantRecipe& recipe,
                                             const TaskControl& control) {
  TERN_RETURN_IF_ERROR(ValidateOptions(recipe));
  if (!recipe.rotation.has_value()) {
    return absl::InvalidArgumentError("rotation: the recipe has none");
  }
  FoundRotations found;
  double elements = 0;
  for (const LinearKind kind : LinearKinds()) {
    elements += static_cast<double>(weights.weight.at(kind).elements());
  }
  double done = 0;
  for (const LinearKind kind : LinearKinds()) {
    TERN_RETURN_IF_ERROR(control.Check());
    TERN_ASSIGN_OR_RETURN(const Tensor weight, ExactWeight(backend, kind, weights));
    absl::StatusOr<LearnedRotation> rotation =
        FindRotation(backend, weight, recipe, SeedOf(recipe.seed, block, kind), control);
    if (!rotation.ok()) {
      return absl::Status(rotation.status().code(),
                          absl::StrCat(LinearName(block, kind), ": ", rotation.status().message()));
    }
    found.metrics[kind] = {rotation->loss_before, rotation->loss_after,
                           rotation->orthogonality_error};
    found.rotations[kind] = std::move(rotation->rotation);
    done += static_cast<double>(weight.elements());
    if (control.progress) control.progress(kRotateStage, done / elements);
  }
  return found;
}

}  // namespace tern
