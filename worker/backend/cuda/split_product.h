#ifndef TERN_WORKER_BACKEND_CUDA_SPLIT_PRODUCT_H_
#define TERN_WORKER_BACKEND_CUDA_SPLIT_PRODUCT_H_

#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/cuda/device_context.h"
#include "worker/backend/cuda/matrix_product.h"
#include "worker/backend/tensor.h"

namespace tern {

// Float32 products as products of TF32 operands three times as deep: with every value the sum of a
// high and a low part of 10 bits each,
//   a·b ≈ [a_hi a_hi a_lo]·[b_hi; b_lo; b_hi],
// which leaves out 2⁻²² of a product, and which the matrix units make several times as fast as
// float32's.

// factor·left·right, float32; either may be transposed.
struct ProductTerm {
  DeviceMatrix left;
  DeviceMatrix right;
  float factor = 1;
};

// The operands of Σ factor·left·right over terms whose shapes and orientations are equal, split:
// one product of `left` and `right` with Arithmetic::kTf32. Parts of them, by ViewRows of the left
// and ViewCols of the right, give parts of the result.
struct SplitOperands {
  Tensor left_parts, right_parts;
  DeviceMatrix left, right;
};
absl::StatusOr<SplitOperands> SplitTerms(DeviceContext& device, std::span<const ProductTerm> terms,
                                         const char* operation);

// c = beta·c + Σ factor·left·right: each product in float32 where the arithmetic is kExact, all of
// them as one split product where it is kTf32.
absl::Status MultiplyAdd(DeviceContext& device, Arithmetic arithmetic,
                         std::span<const ProductTerm> terms, float beta, const DeviceMatrix& c,
                         const char* operation);

// The same of one term for a symmetric result: only the triangle on and above the diagonal of c is
// of use afterwards.
absl::Status MultiplyAddUpper(DeviceContext& device, Arithmetic arithmetic, const ProductTerm& term,
                              float beta, const DeviceMatrix& c, const char* operation);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_SPLIT_PRODUCT_H_
