// Rotations of bf16 rows, on the matrix units: bf16 values and the factors' fp16 ones are fp16
// values (scaled_rows.h), products of them are exact, and sums are float32.

#include <algorithm>
#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/activation_kernels.h"
#include "worker/backend/cuda/cuda_rotation_ops.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/rotation_kernels.h"
#include "worker/backend/cuda/scaled_rows.h"
#include "worker/backend/cuda/transformer_kernels.h"

namespace tern {
namespace {

// Elements rotated at a time: enough for launches not to count, at 64 MiB for each of what lies
// between two steps. (Parts that stay in the L2 cache take longer for being many.)
constexpr int64_t kChunkElements = int64_t{1} << 25;

constexpr char kOperation[] = "rotate activations";

}  // namespace

absl::StatusOr<Tensor> CudaRotationOps::HalfFactor(const Tensor& r) {
  TERN_ASSIGN_OR_RETURN(const Tensor half, device_.Allocate(ElementType::kF16, r.rows(), r.cols()));
  LaunchConvert(device_.stream(), r, half);
  TERN_RETURN_IF_ERROR(Launched(kOperation));
  return half;
}

absl::Status CudaRotationOps::RotateActivations(const Tensor& x, const Tensor& r1, const Tensor& r2,
                                                TakeScaledRows take) {
  const int64_t n1 = r1.rows();
  const int64_t n2 = r2.rows();
  const int64_t m = n1 * n2;
  assert(x.type() == ElementType::kBF16 && x.cols() == m);
  const int64_t chunk = std::clamp<int64_t>(kChunkElements / m, 1, std::max<int64_t>(1, x.rows()));
  const bool left_first = n1 <= kWidestLeftFactor;
  TERN_ASSIGN_OR_RETURN(const Tensor right, HalfFactor(r2));
  Tensor left;
  if (!left_first) {
    TERN_ASSIGN_OR_RETURN(left, HalfFactor(r1));
  }
  TERN_ASSIGN_OR_RETURN(const Tensor scales, Floats(chunk, 1));
  TERN_ASSIGN_OR_RETURN(const Tensor before, device_.Allocate(ElementType::kF16, chunk, m));
  TERN_ASSIGN_OR_RETURN(const Tensor after, device_.Allocate(ElementType::kF16, chunk, m));
  for (int64_t first = 0; first < x.rows(); first += chunk) {
    const int64_t rows = std::min(chunk, x.rows() - first);
    const Tensor from = x.Rows(first, rows);
    const Tensor scaled = before.Rows(0, rows);
    const Tensor rotated = after.Rows(0, rows);
    if (left_first) {
      LaunchScaleAndMultiplyLeft(device_.stream(), from, r1, n2, scaled, scales);
    } else {
      LaunchScaleRows(device_.stream(), from, scaled, scales);
    }
    TERN_RETURN_IF_ERROR(Launched(kOperation));
    TERN_RETURN_IF_ERROR(Multiply(device_.cublas(), scaled.Reshape(rows * n1, n2), right, 1, 0,
                                  rotated.Reshape(rows * n1, n2), kOperation));
    if (left_first) {
      take(first, rotated, scales);
    } else {
      const DeviceMatrices z = {DeviceMatrix(rotated.Rows(0, 1).Reshape(n1, n2)), m};
      const DeviceMatrices to = {DeviceMatrix(scaled.Rows(0, 1).Reshape(n1, n2)), m};
      TERN_RETURN_IF_ERROR(
          MultiplyBatched(device_.cublas(), {left, 0}, z, 0, to, rows, kOperation));
      take(first, scaled, scales);
    }
    TERN_RETURN_IF_ERROR(Launched(kOperation));
  }
  return absl::OkStatus();
}

absl::Status CudaRotationOps::QuantizeRotatedRows(const Tensor& x, const Tensor& r1,
                                                  const Tensor& r2, int bits, double clip,
                                                  const Tensor& out) {
  assert(out.rows() == x.rows() && out.cols() == x.cols() && out.type() == x.type());
  if (x.type() != ElementType::kBF16) {
    TERN_RETURN_IF_ERROR(RotateRows(x, r1, r2, out));
    LaunchQuantize(device_.stream(), out, bits, clip, out);
    return Launched("quantize activations");
  }
  return RotateActivations(x, r1, r2,
                           [&](int64_t first, const Tensor& rotated, const Tensor& scales) {
                             LaunchQuantizeScaled(device_.stream(), rotated, scales, bits, clip,
                                                  out.Rows(first, rotated.rows()));
                           });
}

}  // namespace tern
