#include <array>
#include <cassert>
#include <span>
#include <vector>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/column_kernels.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/cuda_ternary_ops.h"
#include "worker/backend/cuda/factor_kernels.h"
#include "worker/backend/cuda/loss_kernels.h"
#include "worker/backend/cuda/matrix_product.h"
#include "worker/backend/cuda/split_product.h"
#include "worker/backend/cuda/symmetric_inverse.h"

namespace tern {
namespace {

// Row-major matrices are their transposes to cuSOLVER and cuBLAS: our upper triangle is its lower.
constexpr cublasFillMode_t kUpper = CUBLAS_FILL_MODE_LOWER;

}  // namespace

absl::StatusOr<bool> CudaTernaryOps::InvertDamped(const Tensor& h, double damping,
                                                  const Tensor& inverse) {
  const int64_t m = h.rows();
  assert(h.cols() == m && inverse.elements() == m * m);
  LaunchDamp(device_.stream(), h.data<float>(), m, damping, inverse.data<float>());
  TERN_RETURN_IF_ERROR(Launched("invert: damp"));
  TERN_ASSIGN_OR_RETURN(const Tensor failures, device_.Allocate(ElementType::kI32, 1, 1));
  TERN_RETURN_IF_ERROR(CudaStatus(
      cudaMemsetAsync(failures.data<void>(), 0, failures.bytes(), device_.stream()), "invert"));
  TERN_RETURN_IF_ERROR(InvertSymmetric(device_, arithmetic_, inverse, failures));
  int32_t found = 0;
  TERN_RETURN_IF_ERROR(CudaStatus(cudaMemcpyAsync(&found, failures.data<void>(), sizeof(found),
                                                  cudaMemcpyDeviceToHost, device_.stream()),
                                  "invert"));
  TERN_RETURN_IF_ERROR(device_.Synchronize("invert"));
  return found == 0;
}

absl::Status CudaTernaryOps::Factor(const Tensor& a, const Tensor& u, const Tensor& inverse,
                                    const Tensor& failures) {
  const int64_t g = u.rows();
  if (g <= kWidestSmallFactor) {
    LaunchSmallFactor(device_.stream(), a.data<float>(), a.cols(), g, u.data<float>(),
                      inverse.data<float>(), failures.data<int32_t>());
    return Launched("factor group");
  }
  const int size = static_cast<int>(g);
  TERN_RETURN_IF_ERROR(
      CudaStatus(cudaMemcpy2DAsync(u.data<float>(), g * sizeof(float), a.data<float>(),
                                   a.cols() * sizeof(float), g * sizeof(float), g,
                                   cudaMemcpyDeviceToDevice, device_.stream()),
                 "factor group"));
  int floats = 0;
  TERN_RETURN_IF_ERROR(CudaStatus(
      cusolverDnSpotrf_bufferSize(device_.cusolver(), kUpper, size, u.data<float>(), size, &floats),
      "factor group"));
  TERN_ASSIGN_OR_RETURN(const Tensor work, Floats(1, floats));
  TERN_ASSIGN_OR_RETURN(const Tensor info, device_.Allocate(ElementType::kI32, 1, 1));
  TERN_RETURN_IF_ERROR(
      CudaStatus(cusolverDnSpotrf(device_.cusolver(), kUpper, size, u.data<float>(), size,
                                  work.data<float>(), floats, info.data<int>()),
                 "factor group"));
  LaunchCountFailure(device_.stream(), info.data<int>(), failures.data<int32_t>());
  LaunchKeepUpper(device_.stream(), u.data<float>(), g, /*strict=*/false);
  TERN_RETURN_IF_ERROR(Launched("factor group"));

  // U·X = I, in cuBLAS's columns Xᵀ·Uᵀ = I.
  LaunchIdentity(device_.stream(), inverse.data<float>(), g);
  TERN_RETURN_IF_ERROR(Launched("invert group"));
  const float one = 1.0f;
  return CudaStatus(
      cublasStrsm(device_.cublas(), CUBLAS_SIDE_RIGHT, kUpper, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                  size, size, &one, u.data<float>(), size, inverse.data<float>(), size),
      "invert group");
}

absl::Status CudaTernaryOps::DowndateInverse(const Tensor& inverse, const Tensor& order,
                                             const Tensor& u_bb, const Tensor& u_bb_inverse,
                                             const Tensor& u_br, const Tensor& next,
                                             const Tensor& failures) {
  const int64_t m = inverse.cols();
  const int64_t g = u_bb.rows();
  const int64_t rest = m - g;
  assert(order.elements() == m && u_br.elements() == g * rest && next.elements() == rest * rest);
  const auto* columns = order.data<int32_t>();
  const auto* from = inverse.data<float>();

  TERN_ASSIGN_OR_RETURN(const Tensor rows, Floats(g, m));  // of B, in order
  LaunchGatherBlock(device_.stream(), from, nullptr, m, columns, g, columns, m, rows.data<float>());
  LaunchGatherBlock(device_.stream(), from, nullptr, m, columns + g, rest, columns + g, rest,
                    next.data<float>());
  TERN_RETURN_IF_ERROR(Launched("downdate: gather"));
  TERN_RETURN_IF_ERROR(Factor(rows, u_bb, u_bb_inverse, failures));
  const DeviceMatrix factor(u_br);
  TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), DeviceMatrix(u_bb_inverse).Transposed(),
                                DeviceMatrix(rows).Block(0, g, g, rest), 1, 0, factor,
                                "downdate: U_BR"));
  const ProductTerm term{factor.Transposed(), factor, -1};
  return MultiplyAdd(device_, arithmetic_, std::span(&term, 1), 1, next, "downdate");
}

absl::Status CudaTernaryOps::AsymmetryTerm(const Tensor& cross, const Tensor& h,
                                           const Tensor& columns, const Tensor& u_bb,
                                           const Tensor& u_br, const Tensor& next, double lambda,
                                           const Tensor& p) {
  const int64_t g = u_bb.rows();
  const int64_t m = columns.elements();
  const int64_t rest = m - g;
  assert(cross.rows() == h.rows() && cross.cols() == h.cols() && p.elements() == g * rest);
  const auto* list = columns.data<int32_t>();
  TERN_ASSIGN_OR_RETURN(const Tensor d, Floats(g, m));  // B's rows of D
  LaunchGatherBlock(device_.stream(), cross.data<float>(), h.data<float>(), h.cols(), list, g, list,
                    m, d.data<float>());
  TERN_RETURN_IF_ERROR(Launched("asymmetry: gather"));
  const DeviceMatrix d_bb = DeviceMatrix(d).Block(0, 0, g, g);
  const DeviceMatrix d_br = DeviceMatrix(d).Block(0, g, g, rest);
  TERN_ASSIGN_OR_RETURN(const Tensor inner, Floats(g, g));
  cublasHandle_t cublas = device_.cublas();
  TERN_RETURN_IF_ERROR(
      Multiply(cublas, d_bb, DeviceMatrix(u_bb).Transposed(), 1, 0, inner, "asymmetry: inner"));
  TERN_RETURN_IF_ERROR(
      Multiply(cublas, d_br, DeviceMatrix(u_br).Transposed(), 1, 1, inner, "asymmetry: inner"));
  LaunchKeepUpper(device_.stream(), inner.data<float>(), g, /*strict=*/true);
  TERN_RETURN_IF_ERROR(Launched("asymmetry: upper"));
  const auto factor = static_cast<float>(lambda);
  TERN_RETURN_IF_ERROR(Multiply(cublas, d_br, next, factor, 0, p, "asymmetry: D·inverse"));
  return Multiply(cublas, inner, u_br, factor, 1, p, "asymmetry");
}

absl::Status CudaTernaryOps::CompensateColumns(const Tensor& w, const Tensor& order,
                                               const Tensor& error, const Tensor& u_bb_inverse,
                                               const Tensor& u_br, const Tensor& p,
                                               Compensation compensation, const Tensor& next) {
  const int64_t n = w.rows();
  const int64_t g = error.cols();
  const int64_t rest = w.cols() - g;
  assert(order.elements() == w.cols() && error.rows() == n && next.elements() == n * rest);
  const auto* columns = order.data<int32_t>();
  cublasHandle_t cublas = device_.cublas();
  LaunchGatherColumns(device_.stream(), w.data<float>(), n, w.cols(), columns + g, rest,
                      next.data<float>());
  TERN_RETURN_IF_ERROR(Launched("compensate: gather"));

  TERN_ASSIGN_OR_RETURN(const Tensor f, Floats(n, g));
  if (compensation == Compensation::kExact) {
    TERN_RETURN_IF_ERROR(
        Multiply(cublas, error, u_bb_inverse, 1, 0, f, "compensate: E·U_BB inverse"));
  } else {
    LaunchScaleByDiagonal(device_.stream(), error.data<float>(), u_bb_inverse.data<float>(), n, g,
                          f.data<float>());
    TERN_RETURN_IF_ERROR(Launched("compensate: scale"));
  }
  const ProductTerm correction{f, u_br, -1};
  if (p.empty()) {
    return MultiplyAdd(device_, arithmetic_, std::span(&correction, 1), 1, next, "compensate");
  }

  TERN_ASSIGN_OR_RETURN(const Tensor w_b, Floats(n, g));
  LaunchGatherColumns(device_.stream(), w.data<float>(), n, w.cols(), columns, g,
                      w_b.data<float>());
  TERN_RETURN_IF_ERROR(Launched("compensate: gather group"));
  const std::array terms = {correction, ProductTerm{w_b, p, 1}};
  return MultiplyAdd(device_, arithmetic_, terms, 1, next, "compensate");
}

absl::StatusOr<double> CudaTernaryOps::OutputEnergy(const Tensor& w, const Tensor& w_hat,
                                                    const Tensor& h) {
  const int64_t m = w.cols();
  assert(h.rows() == m && h.cols() == m && (w_hat.empty() || w_hat.elements() == w.elements()));
  Tensor error = w;
  if (!w_hat.empty()) {
    TERN_ASSIGN_OR_RETURN(error, Floats(w.rows(), m));
    LaunchSubtract(device_.stream(), w.data<float>(), w_hat.data<float>(), w.elements(),
                   error.data<float>());
    TERN_RETURN_IF_ERROR(Launched("output energy"));
  }
  TERN_ASSIGN_OR_RETURN(const Tensor product, Floats(w.rows(), m));
  TERN_RETURN_IF_ERROR(
      Multiply(device_.cublas(), error, h, 1, 0, product, "output energy", arithmetic_));
  TERN_ASSIGN_OR_RETURN(const Tensor partials,
                        Bytes(kEnergyPartials * static_cast<int64_t>(sizeof(double))));
  LaunchDotPartials(device_.stream(), error.data<float>(), product.data<float>(), w.elements(),
                    partials.data<double>());
  TERN_RETURN_IF_ERROR(Launched("output energy"));
  std::vector<double> sums(kEnergyPartials);
  TERN_RETURN_IF_ERROR(
      CudaStatus(cudaMemcpyAsync(sums.data(), partials.data<void>(), partials.bytes(),
                                 cudaMemcpyDeviceToHost, device_.stream()),
                 "output energy"));
  TERN_RETURN_IF_ERROR(device_.Synchronize("output energy"));
  double energy = 0;
  for (const double sum : sums) energy += sum;
  return energy;
}

}  // namespace tern
