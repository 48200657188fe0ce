#include "worker/model/rotation_factors.h"

#include <cstdint>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

absl::StatusOr<Tensor> UploadFactor(Backend& backend, const std::vector<uint16_t>& bits, int64_t k,
                                    bool transposed) {
  std::vector<float> values(bits.size());
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < k; ++j) {
      values[i * k + j] = HalfToFloat(transposed ? bits[j * k + i] : bits[i * k + j]);
    }
  }
  TERN_ASSIGN_OR_RETURN(Tensor factor, backend.Allocate(ElementType::kF32, k, k));
  TERN_RETURN_IF_ERROR(backend.Upload(values.data(), factor));
  return factor;
}

absl::StatusOr<RotationFactors> UploadFactors(Backend& backend, const StoredRotation& rotation,
                                              bool transposed) {
  RotationFactors factors;
  TERN_ASSIGN_OR_RETURN(factors.r1,
                        UploadFactor(backend, rotation.r1, rotation.shape.n1, transposed));
  TERN_ASSIGN_OR_RETURN(factors.r2,
                        UploadFactor(backend, rotation.r2, rotation.shape.n2, transposed));
  return factors;
}

}  // namespace

absl::StatusOr<RotationFactors> UploadRotation(Backend& backend, const StoredRotation& rotation) {
  return UploadFactors(backend, rotation, /*transposed=*/false);
}

absl::StatusOr<RotationFactors> UploadTransposed(Backend& backend, const StoredRotation& rotation) {
  return UploadFactors(backend, rotation, /*transposed=*/true);
}

}  // namespace tern
