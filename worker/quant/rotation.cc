#include "worker/quant/rotation.h"

#include <cstdint>

#include "checkpoint/status_macros.h"

namespace tern {

absl::StatusOr<RotationFactors> InverseTranspose(Backend& backend, const RotationFactors& factors) {
  const int64_t n1 = factors.r1.rows();
  const int64_t n2 = factors.r2.rows();
  RotationFactors inverse;
  TERN_ASSIGN_OR_RETURN(inverse.r1, backend.Allocate(ElementType::kF32, n1, n1));
  TERN_ASSIGN_OR_RETURN(inverse.r2, backend.Allocate(ElementType::kF32, n2, n2));
  TERN_RETURN_IF_ERROR(backend.rotation().InverseTranspose(factors.r1, inverse.r1));
  TERN_RETURN_IF_ERROR(backend.rotation().InverseTranspose(factors.r2, inverse.r2));
  return inverse;
}

}  // namespace tern
