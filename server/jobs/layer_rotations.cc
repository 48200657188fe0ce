#include "server/jobs/layer_rotations.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "proto/service/error_details.h"

namespace tern {
namespace {

constexpr int64_t kLargestFactor = 8192;

}  // namespace

absl::Status CheckRotations(const MethodRecipe& recipe, const ModelConfig& config) {
  if (!recipe.rotated()) return absl::OkStatus();
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape layer = ShapeOf(config, kind);
    const RotationShape rotation = ShapeOfRotation(recipe, layer);
    if (std::max(rotation.n1, rotation.n2) <= kLargestFactor) continue;
    return InvalidField(
        "quantization_job.spec.twla.rotation",
        absl::StrCat(LinearModule(kind), " has ", layer.cols,
                     " inputs, whose rotation would be of ", rotation.n1, " by ", rotation.n2,
                     "; at most ", kLargestFactor, " are supported: set rotation=ROTATION_NONE"));
  }
  return absl::OkStatus();
}

}  // namespace tern
