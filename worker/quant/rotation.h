#ifndef TERN_WORKER_QUANT_ROTATION_H_
#define TERN_WORKER_QUANT_ROTATION_H_

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/model/rotation_factors.h"

namespace tern {

// The factors r1⁻ᵀ and r2⁻ᵀ: what rotates a weight so that its products with inputs rotated by
// `factors` are as before, although fp16 factors are not quite orthogonal.
absl::StatusOr<RotationFactors> InverseTranspose(Backend& backend, const RotationFactors& factors);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_ROTATION_H_
