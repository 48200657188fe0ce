#ifndef TERN_WORKER_QUANT_ROTATED_LAYER_H_
#define TERN_WORKER_QUANT_ROTATED_LAYER_H_

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/quant/rotation.h"

namespace tern {

// A linear layer in rotated space, float32.
struct RotatedLayer {
  Tensor weight;  // W·R⁻ᵀ[n,m], so that its products with rotated inputs are those of W with inputs
  Tensor hessian;  // R·H·Rᵀ[m,m], the second moment of the rotated inputs, both triangles
  Tensor cross;    // R·G·Rᵀ[m,m]; empty where G is
};

// `factors` are those that are stored, rounded to fp16: what they lack to be orthogonal is made
// good by the weight, exactly but for float32's rounding.
absl::StatusOr<RotatedLayer> RotateLayer(Backend& backend, const RotationFactors& factors,
                                         const Tensor& weight, const Tensor& hessian,
                                         const Tensor& cross);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_ROTATED_LAYER_H_
