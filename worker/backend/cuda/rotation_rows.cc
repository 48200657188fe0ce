#include <algorithm>
#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_rotation_ops.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/rotation_kernels.h"
#include "worker/backend/cuda/scaled_rows.h"

namespace tern {
namespace {

// Elements rotated at a time: what lies between the two factors then stays in the L2 cache, and the
// products reach their rate.
constexpr int64_t kChunkElements = int64_t{1} << 22;

constexpr char kOperation[] = "rotate rows";

}  // namespace

absl::Status CudaRotationOps::MultiplyLeft(const Tensor& r1, const Tensor& z, int64_t n2,
                                           const Tensor& out) {
  const int64_t n1 = r1.rows();
  const int64_t t = z.rows();
  if (t == 0) return absl::OkStatus();
  if (n1 <= kWidestLeftFactor) {
    LaunchMultiplyLeft(device_.stream(), r1.data<float>(), z.data<float>(), t, n1, n2,
                       out.data<float>());
    return Launched(kOperation);
  }
  const DeviceMatrix row(z.Rows(0, 1).Reshape(n1, n2));
  const DeviceMatrix to(out.Rows(0, 1).Reshape(n1, n2));
  return MultiplyBatched(device_.cublas(), {r1, 0}, {row, n1 * n2}, 0, {to, n1 * n2}, t,
                         kOperation);
}

absl::Status CudaRotationOps::RotateRows(const Tensor& x, const Tensor& r1, const Tensor& r2,
                                         const Tensor& out) {
  const int64_t n1 = r1.rows();
  const int64_t n2 = r2.rows();
  const int64_t m = n1 * n2;
  assert(x.cols() == m && out.rows() == x.rows() && out.cols() == m && out.type() == x.type());
  if (x.type() == ElementType::kBF16) {
    return RotateActivations(
        x, r1, r2, [&](int64_t first, const Tensor& rotated, const Tensor& scales) {
          LaunchUnscaleRows(device_.stream(), rotated, scales, out.Rows(first, rotated.rows()));
        });
  }
  const int64_t chunk = std::clamp<int64_t>(kChunkElements / m, 1, std::max<int64_t>(1, x.rows()));
  TERN_ASSIGN_OR_RETURN(const Tensor z, Floats(chunk, m));
  for (int64_t first = 0; first < x.rows(); first += chunk) {
    const int64_t rows = std::min(chunk, x.rows() - first);
    const Tensor between = z.Rows(0, rows);
    TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), x.Rows(first, rows).Reshape(rows * n1, n2), r2,
                                  1, 0, between.Reshape(rows * n1, n2), kOperation));
    TERN_RETURN_IF_ERROR(MultiplyLeft(r1, between, n2, out.Rows(first, rows)));
  }
  return absl::OkStatus();
}

absl::Status CudaRotationOps::RotateMoment(const Tensor& moment, const Tensor& r1, const Tensor& r2,
                                           const Tensor& out) {
  assert(moment.rows() == moment.cols());
  TERN_RETURN_IF_ERROR(RotateRows(moment, r1, r2, out));
  LaunchTransposeInPlace(device_.stream(), out.data<float>(), out.rows());
  TERN_RETURN_IF_ERROR(Launched("rotate moment"));
  TERN_RETURN_IF_ERROR(RotateRows(out, r1, r2, out));
  LaunchTransposeInPlace(device_.stream(), out.data<float>(), out.rows());
  return Launched("rotate moment");
}

}  // namespace tern
