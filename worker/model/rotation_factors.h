#ifndef TERN_WORKER_MODEL_ROTATION_FACTORS_H_
#define TERN_WORKER_MODEL_ROTATION_FACTORS_H_

#include "absl/status/statusor.h"
#include "checkpoint/stored_rotation.h"
#include "worker/backend/backend.h"

namespace tern {

// The factors of a rotation on a device, float32.
struct RotationFactors {
  Tensor r1, r2;
};

absl::StatusOr<RotationFactors> UploadRotation(Backend& backend, const StoredRotation& rotation);

// The same with both factors transposed: what folds a rotation back, X = r1ᵀ·Y·r2ᵀ.
absl::StatusOr<RotationFactors> UploadTransposed(Backend& backend, const StoredRotation& rotation);

}  // namespace tern

#endif  // TERN_WORKER_MODEL_ROTATION_FACTORS_H_
