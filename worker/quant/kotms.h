#ifndef TERN_WORKER_QUANT_KOTMS_H_
#define TERN_WORKER_QUANT_KOTMS_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/rotation_shape.h"
#include "worker/backend/backend.h"
#include "worker/quant/rotation.h"

namespace tern {

// KOTMS (TWLA): a Kronecker rotation learned for one weight, so that its rotated rows lie close to
// three levels.
struct KotmsOptions {
  // kReleased is minimised by Adam, kPaper by plain gradient descent.
  MixtureObjective objective = MixtureObjective::kReleased;
  int steps = 100;     // 1 to 10000
  double rate = 1e-2;  // above 0 and at most 1
};

// INVALID_ARGUMENT names the field and its range.
absl::Status ValidateOptions(const KotmsOptions& options);

struct LearnedRotation {
  StoredRotation rotation;
  // The objective, likelihood and balance, of the weight as it is and rotated by the stored
  // factors.
  double loss_before = 0, loss_after = 0;
  double orthogonality_error = 0;  // max|r·rᵀ - I| of the stored factors
};

// weight[n,m] is float32, m = n1·n2. Takes 2·n·m floats of the device beside the weight. On a
// device that lags behind the host waits for nothing until the last step is queued.
//
// A step rotates the weight, 2·n·m·(n1 + n2) operations, and finds the gradients of both factors,
// as many again; beside them about 16·(n1³ + n2³) for the Cayley transforms and their gradients, a
// sixteenth of the former with released factors, and about a dozen passes over n·m floats.
//
// INVALID_ARGUMENT for options out of range, and when the loss ends not finite or above its start
// by more than the factors' rounding: the message says what to change. CANCELLED when `cancelled`
// (may be empty) returns true; it is asked before every step. Thread-compatible. Results depend on
// the arguments alone.
absl::StatusOr<LearnedRotation> LearnRotation(Backend& backend, const Tensor& weight,
                                              const RotationShape& shape,
                                              const KotmsOptions& options,
                                              const std::function<bool()>& cancelled);

// KOTMS's objective of a weight[n,m] as it is and rotated by any factors.
struct MixtureLosses {
  double before = 0, after = 0;
};
absl::StatusOr<MixtureLosses> MeasureRotation(Backend& backend, const Tensor& weight,
                                              const RotationFactors& factors,
                                              MixtureObjective objective);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_KOTMS_H_
