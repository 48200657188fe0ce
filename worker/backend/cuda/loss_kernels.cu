#include "worker/backend/cuda/loss_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

constexpr int kThreads = 256;

__device__ float RowMax(const float* row, int64_t vocab) {
  float largest = row[0];
  for (int64_t j = threadIdx.x; j < vocab; j += kThreads) largest = fmaxf(largest, row[j]);
  return BlockMax<kThreads>(largest);
}

// Σ e^(row - shift)
__device__ double SumOfExp(const float* row, int64_t vocab, float shift) {
  double sum = 0;
  for (int64_t j = threadIdx.x; j < vocab; j += kThreads) sum += expf(row[j] - shift);
  return BlockSum<kThreads>(sum);
}

// A block a row.
__global__ void TokenLossesKernel(const float* logits, int64_t vocab, const int32_t* targets,
                                  double* losses) {
  const float* row = logits + blockIdx.x * vocab;
  const float largest = RowMax(row, vocab);
  const double sum = SumOfExp(row, vocab, largest);
  if (threadIdx.x != 0) return;
  losses[blockIdx.x] = log(sum) - (static_cast<double>(row[targets[blockIdx.x]]) - largest);
}

// As on the CPU: KL = Σ e^(a - max a)·((a - max a) - (b - max b)) / A - log A + log B.
__global__ void KlDivergencesKernel(const float* reference, const float* logits, int64_t vocab,
                                    double* divergences) {
  const float* a = reference + blockIdx.x * vocab;
  const float* b = logits + blockIdx.x * vocab;
  const float a_max = RowMax(a, vocab);
  const float b_max = RowMax(b, vocab);
  double a_sum = 0;
  double weighted = 0;
  for (int64_t j = threadIdx.x; j < vocab; j += kThreads) {
    const float shifted_a = a[j] - a_max;
    const double exp_a = expf(shifted_a);
    a_sum += exp_a;
    weighted += exp_a * (static_cast<double>(shifted_a) - (b[j] - b_max));
  }
  a_sum = BlockSum<kThreads>(a_sum);
  weighted = BlockSum<kThreads>(weighted);
  const double b_sum = SumOfExp(b, vocab, b_max);
  if (threadIdx.x == 0) divergences[blockIdx.x] = weighted / a_sum - log(a_sum) + log(b_sum);
}

__global__ void DotPartialsKernel(const float* a, const float* b, int64_t count, double* partials) {
  double sum = 0;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{kEnergyPartials} * kThreads) {
    sum += static_cast<double>(a[i]) * b[i];
  }
  sum = BlockSum<kThreads>(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void SubtractKernel(const float* w, const float* w_hat, int64_t count, float* e) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) e[i] = w[i] - w_hat[i];
}

}  // namespace

void LaunchTokenLosses(cudaStream_t stream, const float* logits, int64_t rows, int64_t vocab,
                       const int32_t* targets, double* losses) {
  TokenLossesKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(logits, vocab, targets,
                                                                          losses);
}

void LaunchKlDivergences(cudaStream_t stream, const float* reference, const float* logits,
                         int64_t rows, int64_t vocab, double* divergences) {
  KlDivergencesKernel<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(reference, logits,
                                                                            vocab, divergences);
}

void LaunchDotPartials(cudaStream_t stream, const float* a, const float* b, int64_t count,
                       double* partials) {
  DotPartialsKernel<<<kEnergyPartials, kThreads, 0, stream>>>(a, b, count, partials);
}

void LaunchSubtract(cudaStream_t stream, const float* w, const float* w_hat, int64_t count,
                    float* e) {
  SubtractKernel<<<static_cast<unsigned>((count + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      w, w_hat, count, e);
}

}  // namespace tern
