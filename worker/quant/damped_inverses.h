#ifndef TERN_WORKER_QUANT_DAMPED_INVERSES_H_
#define TERN_WORKER_QUANT_DAMPED_INVERSES_H_

#include <array>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"

namespace tern {

// (H + damping·I)⁻¹ on the damping ladder: every step damps ten times as much as the one before.
// The inverse asked for last is kept, for the layers that share H. Thread-compatible.
class DampedInverses {
 public:
  static constexpr int kSteps = 5;  // the damping asked for, and four raises

  // hessian[m,m] symmetric; `damping` is the first step's, in the units of its diagonal.
  DampedInverses(Backend& backend, const Tensor& hessian, double damping)
      : backend_(backend), hessian_(hessian), damping_(damping) {}

  // The inverse at step 0 … kSteps-1; empty when H is not positive definite even so damped.
  absl::StatusOr<Tensor> At(int step);

 private:
  Backend& backend_;
  const Tensor hessian_;
  const double damping_;
  std::array<bool, kSteps> failed_ = {};
  int step_ = -1;  // of inverse_
  Tensor inverse_;
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_DAMPED_INVERSES_H_
