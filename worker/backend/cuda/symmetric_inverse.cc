#include "worker/backend/cuda/symmetric_inverse.h"

#include <cassert>
#include <span>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/factor_kernels.h"
#include "worker/backend/cuda/split_product.h"

namespace tern {
namespace {

constexpr char kOperation[] = "invert";

// Below this a product is too small to pay for its splitting.
constexpr int64_t kLeastSplit = 512;

class SymmetricInverse {
 public:
  SymmetricInverse(DeviceContext& device, Arithmetic arithmetic, const Tensor& small,
                   const Tensor& failures)
      : device_(device), arithmetic_(arithmetic), small_(small), failures_(failures) {}

  absl::Status Invert(const DeviceMatrix& matrix) {
    const int64_t m = matrix.rows;
    if (m <= kWidestSmallFactor) return InvertSmall(matrix);
    // The first half in whole small factors.
    const int64_t smalls = (m + kWidestSmallFactor - 1) / kWidestSmallFactor;
    const int64_t first = (smalls + 1) / 2 * kWidestSmallFactor;
    const int64_t second = m - first;
    const DeviceMatrix a = matrix.Block(0, 0, first, first);
    const DeviceMatrix b = matrix.Block(0, first, first, second);
    const DeviceMatrix c = matrix.Block(first, first, second, second);

    const Arithmetic arithmetic = second < kLeastSplit ? Arithmetic::kExact : arithmetic_;
    const auto product = [&](const DeviceMatrix& left, const DeviceMatrix& right, float factor,
                             const DeviceMatrix& to) {
      const ProductTerm term{left, right, factor};
      return MultiplyAdd(device_, arithmetic, std::span(&term, 1), 0, to, kOperation);
    };
    const auto add_symmetric = [&](const DeviceMatrix& left, const DeviceMatrix& right,
                                   const DeviceMatrix& to) {
      return MultiplyAddUpper(device_, arithmetic, {left, right, -1}, 1, to, kOperation);
    };

    TERN_RETURN_IF_ERROR(Invert(a));
    // W stays in the place of the lower triangle, which nothing reads before it is mirrored.
    const DeviceMatrix w_transposed = matrix.Block(first, 0, second, first);
    TERN_RETURN_IF_ERROR(product(b.Transposed(), a, 1, w_transposed));
    TERN_RETURN_IF_ERROR(add_symmetric(w_transposed, b, c));
    LaunchMirrorUpper(device_.stream(), static_cast<float*>(c.data), second, c.stride);
    TERN_RETURN_IF_ERROR(Invert(c));
    TERN_RETURN_IF_ERROR(product(w_transposed.Transposed(), c, -1, b));
    TERN_RETURN_IF_ERROR(add_symmetric(b, w_transposed, a));
    LaunchMirrorUpper(device_.stream(), static_cast<float*>(matrix.data), m, matrix.stride);
    return Launched(kOperation);
  }

 private:
  // X = U⁻¹; the inverse is X·Xᵀ.
  absl::Status InvertSmall(const DeviceMatrix& matrix) {
    const int64_t m = matrix.rows;
    LaunchSmallFactor(device_.stream(), static_cast<float*>(matrix.data), matrix.stride, m, nullptr,
                      small_.data<float>(), failures_.data<int32_t>());
    TERN_RETURN_IF_ERROR(Launched(kOperation));
    const DeviceMatrix x(small_.Reshape(small_.elements(), 1).Rows(0, m * m).Reshape(m, m));
    return Multiply(device_.cublas(), x, x.Transposed(), 1, 0, matrix, kOperation);
  }

  DeviceContext& device_;
  const Arithmetic arithmetic_;
  const Tensor& small_;
  const Tensor& failures_;
};

}  // namespace

absl::Status InvertSymmetric(DeviceContext& device, Arithmetic arithmetic, const Tensor& matrix,
                             const Tensor& failures) {
  assert(matrix.rows() == matrix.cols());
  TERN_ASSIGN_OR_RETURN(const Tensor small,
                        device.Allocate(ElementType::kF32, kWidestSmallFactor, kWidestSmallFactor));
  return SymmetricInverse(device, arithmetic, small, failures).Invert(matrix);
}

}  // namespace tern
