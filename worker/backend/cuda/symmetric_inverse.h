#ifndef TERN_WORKER_BACKEND_CUDA_SYMMETRIC_INVERSE_H_
#define TERN_WORKER_BACKEND_CUDA_SYMMETRIC_INVERSE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/backend/cuda/device_context.h"
#include "worker/backend/cuda/matrix_product.h"
#include "worker/backend/tensor.h"

namespace tern {

// Inverts a symmetric positive definite matrix by halves, so that nearly all of it is products of
// large matrices:
//   with W = A⁻¹·B and S = C - Bᵀ·W, the inverse of [A B; Bᵀ C] is
//   [A⁻¹ + W·S⁻¹·Wᵀ, -W·S⁻¹; ·, S⁻¹].
// `matrix` [m,m], both triangles, becomes its inverse, both triangles. Adds to failures[1,1] where
// the matrix is not positive definite; then `matrix` holds nothing of use. kTf32: the large
// products are split ones.
absl::Status InvertSymmetric(DeviceContext& device, Arithmetic arithmetic, const Tensor& matrix,
                             const Tensor& failures);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_SYMMETRIC_INVERSE_H_
