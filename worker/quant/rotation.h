#ifndef TERN_WORKER_QUANT_ROTATION_H_
#define TERN_WORKER_QUANT_ROTATION_H_

#include "absl/status/statusor.h"
#include "checkpoint/stored_rotation.h"
#include "worker/backend/backend.h"

namespace tern {

// Factors on a device, float32.
struct RotationFactors {
  Tensor r1, r2;
};

absl::StatusOr<RotationFactors> UploadRotation(Backend& backend, const StoredRotation& rotation);

// The same with both factors transposed: what folds a rotation back, X = r1ᵀ·Y·r2ᵀ.
absl::StatusOr<RotationFactors> UploadTransposed(Backend& backend, const StoredRotation& rotation);

// The factors r1⁻ᵀ and r2⁻ᵀ: what rotates a weight so that its products with inputs rotated by
// `factors` are as before, although fp16 factors are not quite orthogonal.
absl::StatusOr<RotationFactors> InverseTranspose(Backend& backend, const RotationFactors& factors);

// The largest element of |r·rᵀ - I| of both factors.
absl::StatusOr<double> OrthogonalityError(Backend& backend, const RotationFactors& factors);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_ROTATION_H_
