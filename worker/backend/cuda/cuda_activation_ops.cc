#include "worker/backend/cuda/cuda_activation_ops.h"

#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/activation_kernels.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/loss_kernels.h"

namespace tern {
namespace {

[[maybe_unused]] bool AreQuantizable(const Tensor& x, int bits, double clip, const Tensor& to) {
  return x.type() == to.type() && to.rows() == x.rows() && to.cols() == x.cols() &&
         bits >= kLeastActivationBits && bits <= kMostActivationBits && clip > 0 && clip <= 1;
}

}  // namespace

absl::Status CudaActivationOps::Quantize(const Tensor& x, int bits, double clip,
                                         const Tensor& out) {
  assert(AreQuantizable(x, bits, clip, out));
  LaunchQuantize(device_.stream(), x, bits, clip, out);
  return Launched("quantize activations");
}

absl::Status CudaActivationOps::QuantizationError(const Tensor& x, int bits, double clip,
                                                  const Tensor& error) {
  assert(AreQuantizable(x, bits, clip, error));
  LaunchQuantizationError(device_.stream(), x, bits, clip, error);
  return Launched("quantization error");
}

absl::Status CudaActivationOps::AddSquares(const Tensor& y, const Tensor& sum) {
  assert(y.type() == ElementType::kF32 && sum.type() == ElementType::kF32 && sum.elements() == 1);
  TERN_ASSIGN_OR_RETURN(const Tensor partials,
                        device_.Allocate(ElementType::kU8, 1,
                                         kEnergyPartials * static_cast<int64_t>(sizeof(double))));
  LaunchDotPartials(device_.stream(), y.data<float>(), y.data<float>(), y.elements(),
                    partials.data<double>());
  LaunchAddPartials(device_.stream(), partials.data<double>(), sum.data<float>());
  return Launched("sum of squares");
}

}  // namespace tern
