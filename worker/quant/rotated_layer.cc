#include "worker/quant/rotated_layer.h"

#include "checkpoint/status_macros.h"

namespace tern {
namespace {

absl::StatusOr<Tensor> RotateMoment(Backend& backend, const RotationFactors& factors,
                                    const Tensor& moment) {
  TERN_ASSIGN_OR_RETURN(Tensor rotated,
                        backend.Allocate(ElementType::kF32, moment.rows(), moment.cols()));
  TERN_RETURN_IF_ERROR(backend.rotation().RotateMoment(moment, factors.r1, factors.r2, rotated));
  return rotated;
}

}  // namespace

absl::StatusOr<RotatedLayer> RotateLayer(Backend& backend, const RotationFactors& factors,
                                         const Tensor& weight, const Tensor& hessian,
                                         const Tensor& cross) {
  RotatedLayer rotated;
  TERN_ASSIGN_OR_RETURN(const RotationFactors inverse, InverseTranspose(backend, factors));
  TERN_ASSIGN_OR_RETURN(rotated.weight,
                        backend.Allocate(ElementType::kF32, weight.rows(), weight.cols()));
  TERN_RETURN_IF_ERROR(
      backend.rotation().RotateRows(weight, inverse.r1, inverse.r2, rotated.weight));
  TERN_ASSIGN_OR_RETURN(rotated.hessian, RotateMoment(backend, factors, hessian));
  // Symmetric but for rounding.
  TERN_RETURN_IF_ERROR(backend.FinishMoment(rotated.hessian, 1, /*symmetric=*/true));
  if (!cross.empty()) {
    TERN_ASSIGN_OR_RETURN(rotated.cross, RotateMoment(backend, factors, cross));
  }
  return rotated;
}

}  // namespace tern
