#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_rotation_ops.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/factor_kernels.h"
#include "worker/backend/cuda/rotation_kernels.h"
#include "worker/backend/cuda/symmetric_inverse.h"

namespace tern {
namespace {

constexpr int kInverseRounds = 3;  // errors go 0.1, 1e-2, 1e-4, 1e-8

constexpr char kCayley[] = "cayley";
constexpr char kCayleyGradient[] = "cayley gradient";
constexpr char kInverse[] = "inverse transpose";

}  // namespace

absl::Status CudaRotationOps::Residual(const Tensor& r, const Tensor& x, const Tensor& residual) {
  LaunchIdentity(device_.stream(), residual.data<float>(), r.rows());
  TERN_RETURN_IF_ERROR(Launched("residual"));
  return Multiply(device_.cublas(), DeviceMatrix(r).Transposed(), x, -1, 1, residual, "residual");
}

// By M = I + A·Aᵀ and one Newton step, as on the CPU (rotation_cayley.cc).
absl::Status CudaRotationOps::Cayley(const Tensor& s, const Tensor& rotation) {
  const int64_t k = s.rows();
  assert(s.cols() == k && rotation.rows() == k && rotation.cols() == k);
  cublasHandle_t cublas = device_.cublas();
  TERN_ASSIGN_OR_RETURN(const Tensor a, Floats(k, k));
  TERN_ASSIGN_OR_RETURN(const Tensor inverse, Floats(k, k));
  TERN_ASSIGN_OR_RETURN(const Tensor product, Floats(k, k));
  TERN_ASSIGN_OR_RETURN(const Tensor failures, device_.Allocate(ElementType::kI32, 1, 1));
  TERN_RETURN_IF_ERROR(CudaStatus(
      cudaMemsetAsync(failures.data<void>(), 0, failures.bytes(), device_.stream()), kCayley));
  LaunchSubtractTransposed(device_.stream(), s.data<float>(), k, 1, a.data<float>());
  LaunchIdentity(device_.stream(), inverse.data<float>(), k);
  TERN_RETURN_IF_ERROR(Launched(kCayley));
  TERN_RETURN_IF_ERROR(Multiply(cublas, a, DeviceMatrix(a).Transposed(), 1, 1, inverse, kCayley));
  TERN_RETURN_IF_ERROR(InvertSymmetric(device_, Arithmetic::kExact, inverse, failures));
  TERN_RETURN_IF_ERROR(Multiply(cublas, a, inverse, 1, 0, product, kCayley));
  const Tensor& r = a;  // A has served
  LaunchCayley(device_.stream(), inverse.data<float>(), product.data<float>(), k,
               failures.data<int32_t>(), r.data<float>(), rotation.data<float>());
  TERN_RETURN_IF_ERROR(Launched(kCayley));
  TERN_RETURN_IF_ERROR(Residual(r, r, product));
  return Multiply(cublas, r, product, 0.5f, 1, rotation, kCayley);
}

absl::Status CudaRotationOps::CayleyGradient(const Tensor& rotation, const Tensor& d_rotation,
                                             const Tensor& d_s) {
  const int64_t k = rotation.rows();
  assert(d_rotation.elements() == k * k && d_s.elements() == k * k);
  TERN_ASSIGN_OR_RETURN(const Tensor twice_inverse, Floats(k, k));
  TERN_ASSIGN_OR_RETURN(const Tensor left, Floats(k, k));
  TERN_ASSIGN_OR_RETURN(const Tensor d_a, Floats(k, k));
  LaunchAddIdentity(device_.stream(), rotation.data<float>(), k, twice_inverse.data<float>());
  TERN_RETURN_IF_ERROR(Launched(kCayleyGradient));
  const DeviceMatrix transposed = DeviceMatrix(twice_inverse).Transposed();
  TERN_RETURN_IF_ERROR(
      Multiply(device_.cublas(), transposed, d_rotation, 1, 0, left, kCayleyGradient));
  TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), left, transposed, 1, 0, d_a, kCayleyGradient));
  LaunchSubtractTransposed(device_.stream(), d_a.data<float>(), k, -0.5f, d_s.data<float>());
  return Launched(kCayleyGradient);
}

absl::Status CudaRotationOps::InverseTranspose(const Tensor& r, const Tensor& inverse) {
  const int64_t k = r.rows();
  assert(r.cols() == k && inverse.elements() == k * k);
  TERN_ASSIGN_OR_RETURN(const Tensor x, Floats(k, k));
  TERN_ASSIGN_OR_RETURN(const Tensor residual, Floats(k, k));
  const auto copy = [this](const Tensor& from, const Tensor& to) {
    return CudaStatus(cudaMemcpyAsync(to.data<void>(), from.data<void>(), from.bytes(),
                                      cudaMemcpyDeviceToDevice, device_.stream()),
                      kInverse);
  };
  TERN_RETURN_IF_ERROR(copy(r, inverse));
  for (int round = 0; round < kInverseRounds; ++round) {
    TERN_RETURN_IF_ERROR(copy(inverse, x));
    TERN_RETURN_IF_ERROR(Residual(r, x, residual));
    TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), x, residual, 1, 1, inverse, kInverse));
  }
  return absl::OkStatus();
}

}  // namespace tern
