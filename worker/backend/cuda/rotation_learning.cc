#include <algorithm>
#include <cassert>
#include <cmath>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_rotation_ops.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/rotation_kernels.h"

namespace tern {
namespace {

constexpr char kLoss[] = "mixture loss";
constexpr char kGradients[] = "factor gradients";

// Products of long, narrow matrices are cut into parts along their depth, so that every
// multiprocessor has some; parts are added up in order, in float64.
constexpr int64_t kLeftPartFloats = int64_t{1} << 22;  // of all parts of the first factor
constexpr int64_t kLeastDepth = 1024;
constexpr int64_t kMostParts = 64;
constexpr int64_t kTile = 128;                      // of a product, by which cuBLAS shares it out
constexpr int64_t kWantedTiles = int64_t{2} * 132;  // two for each multiprocessor of an H200

}  // namespace

absl::Status CudaRotationOps::RotatedMixtureLoss(const Tensor& w, const Tensor& r1,
                                                 const Tensor& r2, MixtureObjective objective,
                                                 const Tensor& loss, const Tensor& y,
                                                 const Tensor& d_y) {
  const int64_t n = w.rows();
  const int64_t m = w.cols();
  const int64_t n1 = r1.rows();
  const int64_t n2 = r2.rows();
  assert(m == n1 * n2 && loss.elements() == 2 && y.elements() == w.elements());
  // The small factor works in place.
  Tensor z = y;
  if (n1 > kWidestLeftFactor) {
    TERN_ASSIGN_OR_RETURN(z, Floats(n, m));
  }
  TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), w.Reshape(n * n1, n2), r2, 1, 0,
                                z.Reshape(n * n1, n2), kLoss, arithmetic_));
  TERN_RETURN_IF_ERROR(MultiplyLeft(r1, z, n2, y));
  TERN_ASSIGN_OR_RETURN(
      const Tensor scratch,
      device_.Allocate(ElementType::kU8, 1, static_cast<int64_t>(MixtureScratchBytes(n))));
  LaunchMixtureLoss(device_.stream(), y.data<float>(), n, m, objective, scratch.data<void>(),
                    loss.data<float>(), d_y.data<float>());
  return Launched(kLoss);
}

absl::Status CudaRotationOps::SumLeftProducts(const Tensor& y, const Tensor& d_y, int64_t n1,
                                              int64_t n2, const Tensor& sum) {
  const int64_t n = y.rows();
  const int64_t m = n1 * n2;
  const int64_t parts = std::clamp<int64_t>(kLeftPartFloats / (n1 * n1), 1, n);
  TERN_ASSIGN_OR_RETURN(const Tensor partials, Floats(parts, n1 * n1));
  const DeviceMatrix to(partials.Rows(0, 1).Reshape(n1, n1));
  for (int64_t first = 0; first < n; first += parts) {
    const DeviceMatrix g(d_y.Rows(first, 1).Reshape(n1, n2));
    const DeviceMatrix of_y(y.Rows(first, 1).Reshape(n1, n2));
    TERN_RETURN_IF_ERROR(MultiplyBatched(device_.cublas(), {g, m}, {of_y.Transposed(), m},
                                         first == 0 ? 0 : 1, {to, n1 * n1},
                                         std::min(parts, n - first), kGradients, arithmetic_));
  }
  LaunchSumPartials(device_.stream(), partials.data<float>(), parts, n1 * n1, sum.data<float>());
  return Launched(kGradients);
}

absl::Status CudaRotationOps::SumRightProducts(const Tensor& y, const Tensor& d_y, int64_t n2,
                                               const Tensor& sum) {
  const int64_t rows = y.elements() / n2;  // of all Y
  const int64_t side = (n2 + kTile - 1) / kTile;
  const int64_t wanted = (kWantedTiles + side * side - 1) / (side * side);
  const int64_t parts = std::clamp<int64_t>(std::min(wanted, rows / kLeastDepth), 1, kMostParts);
  const int64_t depth = rows / parts;
  const int64_t whole = depth * parts;
  const Tensor all_y = y.Reshape(rows, n2);
  const Tensor all_g = d_y.Reshape(rows, n2);
  TERN_ASSIGN_OR_RETURN(const Tensor partials, Floats(parts, n2 * n2));
  const DeviceMatrix to(partials.Rows(0, 1).Reshape(n2, n2));
  TERN_RETURN_IF_ERROR(MultiplyBatched(
      device_.cublas(), {DeviceMatrix(all_y.Rows(0, depth)).Transposed(), depth * n2},
      {all_g.Rows(0, depth), depth * n2}, 0, {to, n2 * n2}, parts, kGradients, arithmetic_));
  if (whole < rows) {
    TERN_RETURN_IF_ERROR(
        Multiply(device_.cublas(), DeviceMatrix(all_y.Rows(whole, rows - whole)).Transposed(),
                 all_g.Rows(whole, rows - whole), 1, 1, to, kGradients, arithmetic_));
  }
  LaunchSumPartials(device_.stream(), partials.data<float>(), parts, n2 * n2, sum.data<float>());
  return Launched(kGradients);
}

absl::Status CudaRotationOps::FactorGradients(const Tensor& y, const Tensor& d_y, const Tensor& r1,
                                              const Tensor& r2, const Tensor& d_r1,
                                              const Tensor& d_r2) {
  const int64_t n1 = r1.rows();
  const int64_t n2 = r2.rows();
  assert(y.cols() == n1 * n2 && d_y.elements() == y.elements());
  assert(d_r1.elements() == n1 * n1 && d_r2.elements() == n2 * n2);
  TERN_ASSIGN_OR_RETURN(const Tensor left, Floats(n1, n1));
  TERN_ASSIGN_OR_RETURN(const Tensor right, Floats(n2, n2));
  TERN_RETURN_IF_ERROR(SumLeftProducts(y, d_y, n1, n2, left));
  TERN_RETURN_IF_ERROR(SumRightProducts(y, d_y, n2, right));
  TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), left, r1, 1, 0, d_r1, kGradients));
  return Multiply(device_.cublas(), r2, right, 1, 0, d_r2, kGradients);
}

absl::Status CudaRotationOps::AdamStep(const Tensor& gradient, int64_t step, double rate,
                                       const Tensor& mean, const Tensor& square, const Tensor& s) {
  assert(step > 0 && mean.elements() == s.elements() && square.elements() == s.elements());
  const auto power = static_cast<double>(step);
  LaunchAdamStep(device_.stream(), gradient.data<float>(), s.elements(),
                 static_cast<float>(rate / (1 - std::pow(0.9, power))),
                 static_cast<float>(1 / (1 - std::pow(0.999, power))), mean.data<float>(),
                 square.data<float>(), s.data<float>());
  return Launched("adam step");
}

absl::Status CudaRotationOps::DescentStep(const Tensor& gradient, double rate, const Tensor& s) {
  assert(gradient.elements() == s.elements());
  LaunchDescentStep(device_.stream(), gradient.data<float>(), s.elements(),
                    static_cast<float>(rate), s.data<float>());
  return Launched("descent step");
}

}  // namespace tern
