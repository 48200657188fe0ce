#include <cstdint>

#include "worker/backend/cuda/grid_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

// One row of a group, spread over kThreads: thread i holds the columns i, i + kThreads, …
template <int kThreads, int kPerThread>
struct Row {
  float w[kPerThread];
  int8_t t[kPerThread];
  int64_t columns;

  __device__ bool Holds(int i) const { return i * kThreads + Lane() < columns; }
  __device__ static int Lane() { return threadIdx.x % kThreads; }
};

template <int kThreads, typename T>
__device__ T RowSum(T value) {
  return BlockSum<kThreads>(value);
}

// t = sign(w - μ) beyond `half` of μ, 0 within. Whether any t of the row changed.
template <int kThreads, int kPerThread>
__device__ bool AssignTrits(Row<kThreads, kPerThread>& row, double mu, double half) {
  const auto low = static_cast<float>(mu - half);
  const auto high = static_cast<float>(mu + half);
  int changed = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (!row.Holds(i)) continue;
    const auto nearest = static_cast<int8_t>((row.w[i] > high ? 1 : 0) - (row.w[i] < low ? 1 : 0));
    changed |= nearest != row.t[i];
    row.t[i] = nearest;
  }
  return RowSum<kThreads>(changed) != 0;
}

template <int kThreads, int kPerThread>
struct TritCounts {
  __device__ TritCounts() {}
  __device__ explicit TritCounts(const Row<kThreads, kPerThread>& row) {
    int both = 0;  // the halves do not meet: a row has at most 4096 columns
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (row.Holds(i)) both += row.t[i] > 0 ? 1 : row.t[i] < 0 ? 1 << 16 : 0;
    }
    both = RowSum<kThreads>(both);
    plus = both & 0xffff;
    minus = both >> 16;
  }

  int plus = 0, minus = 0;
};

// t and α for μ: Δ = 0.75·mean|w - μ|, α = Σ t(w - μ) / Σ|t|.
template <int kThreads, int kPerThread>
__device__ double ThresholdGrid(Row<kThreads, kPerThread>& row, double mu,
                                TritCounts<kThreads, kPerThread>& found) {
  double deviation = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (row.Holds(i)) deviation += fabs(row.w[i] - mu);
  }
  deviation = RowSum<kThreads>(deviation);
  AssignTrits(row, mu, 0.75 * deviation / static_cast<double>(row.columns));
  double beyond = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (row.Holds(i)) beyond += row.t[i] * (row.w[i] - mu);
  }
  beyond = RowSum<kThreads>(beyond);
  found = TritCounts<kThreads, kPerThread>(row);
  const int count = found.plus + found.minus;
  return count > 0 ? beyond / count : 0;
}

enum class Rounds { kItf, kThreshold };

// See TernaryOps::FitGrid and FitGridByThreshold; the arithmetic of the CPU's, sums float64.
template <int kThreads, int kPerThread, Rounds kRounds>
__device__ void FitRow(const float* w, int64_t g, int max_rounds, int8_t* trits, float* alpha_out,
                       float* mu_out, int32_t* counts) {
  Row<kThreads, kPerThread> row;
  row.columns = g;
  double sum = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    row.w[i] = row.Holds(i) ? w[i * kThreads + row.Lane()] : 0.0f;
    row.t[i] = 0;
    sum += row.w[i];
  }
  sum = RowSum<kThreads>(sum);
  const auto width = static_cast<double>(g);

  double mu = sum / width;
  TritCounts<kThreads, kPerThread> found;
  double alpha = ThresholdGrid(row, mu, found);

  int rounds = 0;
  bool changed = true;
  while (changed && rounds < max_rounds) {
    ++rounds;
    if constexpr (kRounds == Rounds::kThreshold) {
      mu = (sum - alpha * (found.plus - found.minus)) / width;
      alpha = ThresholdGrid(row, mu, found);
      continue;
    }
    double product = 0;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (row.Holds(i)) product += static_cast<double>(row.t[i]) * row.w[i];
    }
    product = RowSum<kThreads>(product);
    const double sum_t = found.plus - found.minus;
    const double sum_tt = found.plus + found.minus;
    const double determinant = width * sum_tt - sum_t * sum_t;
    if (determinant > 0) alpha = (width * product - sum_t * sum) / determinant;
    mu = (sum - alpha * sum_t) / width;
    changed = AssignTrits(row, mu, alpha / 2);
    found = TritCounts<kThreads, kPerThread>(row);
  }

#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (row.Holds(i)) trits[i * kThreads + row.Lane()] = row.t[i];
  }
  if (row.Lane() != 0) return;
  *alpha_out = static_cast<float>(alpha);
  *mu_out = static_cast<float>(mu);
  const bool constant = found.plus == g || found.minus == g || found.plus + found.minus == 0;
  atomicAdd(&counts[0], rounds);
  if (constant) atomicAdd(&counts[1], 1);
}

// kThreads threads a row, kRows rows a block.
template <int kThreads, int kRows, int kPerThread, Rounds kRounds>
__global__ void FitGridKernel(const float* w, int64_t n, int64_t g, int max_rounds, int8_t* trits,
                              float* alpha, float* mu, int32_t* counts) {
  static_assert(kRows == 1 || kThreads == kWarp, "rows of a block must not wait for each other");
  const int64_t r = int64_t{blockIdx.x} * kRows + threadIdx.x / kThreads;
  if (r >= n) return;
  FitRow<kThreads, kPerThread, kRounds>(w + r * g, g, max_rounds, trits + r * g, alpha + r, mu + r,
                                        counts);
}

template <Rounds kRounds>
void Launch(cudaStream_t stream, const float* w, int64_t n, int64_t g, int max_rounds,
            int8_t* trits, float* alpha, float* mu, int32_t* counts) {
  constexpr int kRows = 8;
  const auto warps = static_cast<unsigned>((n + kRows - 1) / kRows);
  const auto rows = static_cast<unsigned>(n);
  if (g <= 128) {
    FitGridKernel<kWarp, kRows, 4, kRounds>
        <<<warps, kWarp * kRows, 0, stream>>>(w, n, g, max_rounds, trits, alpha, mu, counts);
  } else if (g <= 512) {
    FitGridKernel<kWarp, kRows, 16, kRounds>
        <<<warps, kWarp * kRows, 0, stream>>>(w, n, g, max_rounds, trits, alpha, mu, counts);
  } else {
    static_assert(256 * 16 == kWidestGroup);
    FitGridKernel<256, 1, 16, kRounds>
        <<<rows, 256, 0, stream>>>(w, n, g, max_rounds, trits, alpha, mu, counts);
  }
}

}  // namespace

void LaunchFitGrid(cudaStream_t stream, const float* w, int64_t n, int64_t g, int max_rounds,
                   int8_t* trits, float* alpha, float* mu, int32_t* counts) {
  Launch<Rounds::kItf>(stream, w, n, g, max_rounds, trits, alpha, mu, counts);
}

void LaunchFitGridByThreshold(cudaStream_t stream, const float* w, int64_t n, int64_t g, int rounds,
                              int8_t* trits, float* alpha, float* mu, int32_t* counts) {
  Launch<Rounds::kThreshold>(stream, w, n, g, rounds, trits, alpha, mu, counts);
}

}  // namespace tern
