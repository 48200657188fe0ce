#include <cfloat>

#include "worker/backend/cuda/rotation_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int kTotalThreads = 1024;
constexpr double kBalanceWeight = 0.1;

// A row in units of its own σ, and sums over it, as on the CPU (rotation_mixture.cc).
struct MixtureRow {
  double loss;
  double zero, plus;                           // responsibilities
  double loss_slope, zero_slope, plus_slope;   // in units of σ
  float mean, inverse_sigma, separation, far;  // far: e^(-k²)
};

// Derivatives of the balance term, times n·m, with respect to responsibilities.
struct MixtureBalance {
  double zero, plus, minus;
};

template <MixtureObjective kObjective>
struct Weights {
  static constexpr bool kReleased = kObjective == MixtureObjective::kReleased;
  static constexpr float kZero = kReleased ? 1.0f / 3 : 0.5f;
  static constexpr float kOuter = kReleased ? 1.0f / 3 : 0.25f;
};

// The mixture at one value; names and formulas are the CPU's.
template <MixtureObjective kObjective>
struct Mixture {
  __device__ Mixture(float y, const MixtureRow& row) {
    using Of = Weights<kObjective>;
    const float k = row.separation;
    const float centred = (y - row.mean) * row.inverse_sigma;
    positive = !(centred < 0);
    u = fabsf(centred);
    const float t = u * k - 0.5f * k * k;
    const bool is_outer = t > 0;
    const float d = expf(-fabsf(t));
    zero = Of::kZero * (is_outer ? d : 1.0f);
    near = Of::kOuter * (is_outer ? 1.0f : d);
    far = Of::kOuter * row.far * (is_outer ? d * d : 1.0f / d);
    const float sum = zero + near + far;
    const float inverse = 1.0f / sum;
    zero *= inverse;
    near *= inverse;
    far *= inverse;
    mean = k * (near - far);
    loss = 0.5f * u * u - fmaxf(t, 0.0f) - logf(sum);
    loss_slope = u - mean;
    zero_slope = -zero * mean;
    near_slope = near * (k - mean);
    far_slope = far * (-k - mean);
  }

  bool positive;
  float u, loss, zero, near, far, mean;
  float loss_slope, zero_slope, near_slope, far_slope;
};

// A block a row, which stays in the cache from pass to pass.
template <MixtureObjective kObjective>
__global__ void MixtureRowsKernel(const float* y, int64_t m, MixtureRow* rows) {
  using Of = Weights<kObjective>;
  const float* values = y + blockIdx.x * m;
  const auto count = static_cast<double>(m);
  double sum = 0;
  for (int64_t j = threadIdx.x; j < m; j += kThreads) sum += values[j];
  MixtureRow row = {};
  row.mean = static_cast<float>(BlockSum<kThreads>(sum) / count);

  double deviation = 0;
  double squares = 0;
  for (int64_t j = threadIdx.x; j < m; j += kThreads) {
    const double centred = fabsf(values[j] - row.mean);
    deviation += centred;
    if (!Of::kReleased) squares += centred * centred;
  }
  const double c = BlockSum<kThreads>(deviation) / count;
  double sigma = c / 4;
  if (!Of::kReleased) sigma = sqrt(BlockSum<kThreads>(squares) / count);
  const bool flat = sigma < FLT_MIN;
  if (!flat) {
    row.inverse_sigma = static_cast<float>(1 / sigma);
    row.separation = static_cast<float>(c / sigma);
  }
  row.far = expf(-row.separation * row.separation);

  double loss = 0, zero = 0, plus = 0, loss_slope = 0, zero_slope = 0, plus_slope = 0;
  for (int64_t j = threadIdx.x; j < m; j += kThreads) {
    const Mixture<kObjective> at(values[j], row);
    loss += at.loss;
    zero += at.zero;
    plus += at.positive ? at.near : at.far;
    loss_slope += at.positive ? at.loss_slope : -at.loss_slope;
    zero_slope += at.positive ? at.zero_slope : -at.zero_slope;
    plus_slope += at.positive ? at.near_slope : -at.far_slope;
  }
  constexpr double kRootOfTwoPi = 2.5066282746310002;
  row.loss = BlockSum<kThreads>(loss) + log(sigma * kRootOfTwoPi) * count;
  row.zero = BlockSum<kThreads>(zero);
  row.plus = BlockSum<kThreads>(plus);
  row.loss_slope = BlockSum<kThreads>(loss_slope);
  row.zero_slope = BlockSum<kThreads>(zero_slope);
  row.plus_slope = BlockSum<kThreads>(plus_slope);
  if (flat) row.loss = 0;
  if (threadIdx.x == 0) rows[blockIdx.x] = row;
}

__device__ double PaperShare(const MixtureRow& row, int64_t m) {
  return row.zero / static_cast<double>(m) - 0.5;
}

// One block.
template <MixtureObjective kObjective>
__global__ void __launch_bounds__(kTotalThreads)
    MixtureTotalKernel(const MixtureRow* rows, int64_t n, int64_t m, MixtureBalance* balance,
                       float* loss) {
  double sum = 0, zero = 0, plus = 0, penalty = 0;
  for (int64_t r = threadIdx.x; r < n; r += kTotalThreads) {
    sum += rows[r].loss;
    zero += rows[r].zero;
    plus += rows[r].plus;
    const double share = PaperShare(rows[r], m);
    penalty += share * share;
  }
  sum = BlockSum<kTotalThreads>(sum);
  zero = BlockSum<kTotalThreads>(zero);
  plus = BlockSum<kTotalThreads>(plus);
  penalty = BlockSum<kTotalThreads>(penalty);
  if (threadIdx.x != 0) return;
  const double count = static_cast<double>(n) * static_cast<double>(m);
  const double third = 1.0 / 3;
  const double z = zero / count - third;
  const double p = plus / count - third;
  const double q = (count - zero - plus) / count - third;
  *balance = {2 * kBalanceWeight * z, 2 * kBalanceWeight * p, 2 * kBalanceWeight * q};
  loss[0] = static_cast<float>(sum / count);
  loss[1] = static_cast<float>(kBalanceWeight * (Weights<kObjective>::kReleased
                                                     ? z * z + p * p + q * q
                                                     : penalty / static_cast<double>(n)));
}

// A block a row.
template <MixtureObjective kObjective>
__global__ void MixtureGradientKernel(const float* y, int64_t m, const MixtureRow* rows,
                                      const MixtureBalance* of_matrix, double scale_down,
                                      float* d_y) {
  const MixtureRow row = rows[blockIdx.x];
  const MixtureBalance balance =
      Weights<kObjective>::kReleased
          ? *of_matrix
          : MixtureBalance{2 * kBalanceWeight * PaperShare(row, m), 0, 0};
  const double minus_slope = -row.zero_slope - row.plus_slope;
  const auto shift =
      static_cast<float>((row.loss_slope + balance.zero * row.zero_slope +
                          balance.plus * row.plus_slope + balance.minus * minus_slope) /
                         static_cast<double>(m));
  const auto factor = static_cast<float>(scale_down * row.inverse_sigma);
  const auto of_zero = static_cast<float>(balance.zero);
  const auto of_plus = static_cast<float>(balance.plus);
  const auto of_minus = static_cast<float>(balance.minus);
  for (int64_t j = threadIdx.x; j < m; j += kThreads) {
    const int64_t i = blockIdx.x * m + j;
    const Mixture<kObjective> at(y[i], row);
    const float slope = at.loss_slope + of_zero * at.zero_slope +
                        (at.positive ? of_plus : of_minus) * at.near_slope +
                        (at.positive ? of_minus : of_plus) * at.far_slope;
    d_y[i] = ((at.positive ? slope : -slope) - shift) * factor;
  }
}

template <MixtureObjective kObjective>
void LaunchMixtureLossOf(cudaStream_t stream, const float* y, int64_t n, int64_t m, void* scratch,
                         float* loss, float* d_y) {
  auto* balance = static_cast<MixtureBalance*>(scratch);
  auto* rows = reinterpret_cast<MixtureRow*>(balance + 1);
  const auto blocks = static_cast<unsigned>(n);
  MixtureRowsKernel<kObjective><<<blocks, kThreads, 0, stream>>>(y, m, rows);
  MixtureTotalKernel<kObjective><<<1, kTotalThreads, 0, stream>>>(rows, n, m, balance, loss);
  if (d_y == nullptr) return;
  const double scale_down = 1 / (static_cast<double>(n) * static_cast<double>(m));
  MixtureGradientKernel<kObjective>
      <<<blocks, kThreads, 0, stream>>>(y, m, rows, balance, scale_down, d_y);
}

}  // namespace

size_t MixtureScratchBytes(int64_t n) { return sizeof(MixtureBalance) + n * sizeof(MixtureRow); }

void LaunchMixtureLoss(cudaStream_t stream, const float* y, int64_t n, int64_t m,
                       MixtureObjective objective, void* scratch, float* loss, float* d_y) {
  if (objective == MixtureObjective::kReleased) {
    LaunchMixtureLossOf<MixtureObjective::kReleased>(stream, y, n, m, scratch, loss, d_y);
  } else {
    LaunchMixtureLossOf<MixtureObjective::kPaper>(stream, y, n, m, scratch, loss, d_y);
  }
}

}  // namespace tern
