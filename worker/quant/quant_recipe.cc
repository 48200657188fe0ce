#include "worker/quant/quant_recipe.h"

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/backend/activation_ops.h"

namespace tern {
namespace {

constexpr int64_t kMinGroupSize = 16;
constexpr int64_t kMaxGroupSize = 4096;

}  // namespace

// Comparisons are written so that NaN fails them.
absl::Status ValidateOptions(const QuantRecipe& recipe) {
  if (recipe.group_size < kMinGroupSize || recipe.group_size > kMaxGroupSize) {
    return absl::InvalidArgumentError(absl::StrCat("group_size: ", recipe.group_size,
                                                   " is not between ", kMinGroupSize, " and ",
                                                   kMaxGroupSize));
  }
  if (!(recipe.gptaq >= 0 && recipe.gptaq <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("gptaq: ", recipe.gptaq, " is not between 0 (off) and 1"));
  }
  if (!(recipe.damping > 0 && recipe.damping <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("damping: ", recipe.damping, " is not above 0 and at most 1"));
  }
  if (recipe.rotation.has_value()) {
    if (recipe.reorder != Reorder::kNone) {
      return absl::InvalidArgumentError(
          "reorder: a rotation and an order of the columns exclude each other; set reorder to none "
          "or rotation to none");
    }
    TERN_RETURN_IF_ERROR(ValidateOptions(recipe.kotms));
  }
  for (const int bits : recipe.activation_bits) {
    if (bits >= kLeastActivationBits && bits <= kMostActivationBits) continue;
    return absl::InvalidArgumentError(absl::StrCat("activation_bits: ", bits, " is not between ",
                                                   kLeastActivationBits, " and ",
                                                   kMostActivationBits));
  }
  return absl::OkStatus();
}

}  // namespace tern
