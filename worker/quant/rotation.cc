#include "worker/quant/rotation.h"

#include <algorithm>
#include <cmath>

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

// max|r·rᵀ - I|
absl::StatusOr<double> FactorError(Backend& backend, const Tensor& r) {
  const int64_t k = r.rows();
  TERN_ASSIGN_OR_RETURN(const Tensor gram, backend.Allocate(ElementType::kF32, k, k));
  TERN_RETURN_IF_ERROR(backend.Linear(r, r, Tensor(), /*accumulate=*/false, gram));
  std::vector<float> values(k * k);
  TERN_RETURN_IF_ERROR(backend.Download(gram, values.data()));
  double largest = 0;
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < k; ++j) {
      largest = std::max(largest, std::abs(values[i * k + j] - (i == j ? 1.0 : 0.0)));
    }
  }
  return largest;
}

}  // namespace

absl::StatusOr<RotationFactors> UploadRotation(Backend& backend, const StoredRotation& rotation) {
  return UploadFactors(backend, rotation, /*transposed=*/false);
}

absl::StatusOr<RotationFactors> UploadTransposed(Backend& backend, const StoredRotation& rotation) {
  return UploadFactors(backend, rotation, /*transposed=*/true);
}

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

absl::StatusOr<double> OrthogonalityError(Backend& backend, const RotationFactors& factors) {
  TERN_ASSIGN_OR_RETURN(const double first, FactorError(backend, factors.r1));
  TERN_ASSIGN_OR_RETURN(const double second, FactorError(backend, factors.r2));
  return std::max(first, second);
}

}  // namespace tern
