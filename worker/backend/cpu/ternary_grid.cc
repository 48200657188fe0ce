#include <algorithm>
#include <cassert>
#include <cstdint>

#include "checkpoint/float_conversion.h"
#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {
namespace {

constexpr float kLargestHalf = 65504.0f;

}  // namespace

absl::Status CpuTernaryOps::RoundToHalf(const Tensor& values) {
  float* data = values.data<float>();
  for (int64_t i = 0; i < values.elements(); ++i) {
    data[i] = HalfToFloat(FloatToHalf(std::clamp(data[i], -kLargestHalf, kLargestHalf)));
  }
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::GridError(const Tensor& w, const Tensor& trits, const Tensor& alpha,
                                      const Tensor& mu, const Tensor& error) {
  const int64_t g = w.cols();
  assert(trits.rows() == w.rows() && trits.cols() == g);
  assert(error.rows() == w.rows() && error.cols() == g);
  pool_.ParallelFor(w.rows(), [&](int64_t r) {
    const float* row = w.data<float>() + r * g;
    const int8_t* t = trits.data<int8_t>() + r * g;
    const float level = alpha.data<float>()[r];
    const float centre = mu.data<float>()[r];
    float* out = error.data<float>() + r * g;
    for (int64_t j = 0; j < g; ++j) out[j] = row[j] - (level * static_cast<float>(t[j]) + centre);
  });
  return absl::OkStatus();
}

}  // namespace tern
