#include "worker/quant/damped_inverses.h"

#include <cmath>

#include "checkpoint/status_macros.h"

namespace tern {

absl::StatusOr<Tensor> DampedInverses::At(int step) {
  if (failed_[step]) return Tensor();
  if (step == step_) return inverse_;
  const int64_t m = hessian_.rows();
  if (inverse_.empty()) {
    TERN_ASSIGN_OR_RETURN(inverse_, backend_.Allocate(ElementType::kF32, m, m));
  }
  step_ = -1;
  TERN_ASSIGN_OR_RETURN(
      const bool positive_definite,
      backend_.ternary().InvertDamped(hessian_, damping_ * std::pow(10.0, step), inverse_));
  failed_[step] = !positive_definite;
  if (failed_[step]) return Tensor();
  step_ = step;
  return inverse_;
}

}  // namespace tern
