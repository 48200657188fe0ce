#include "worker/backend/cuda/split_tf32.h"

namespace tern {
namespace {

constexpr int kThreads = 256;

// The nearest value of 10 bits of mantissa.
__device__ float HighPart(float value) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return __uint_as_float(bits);
}

__global__ void SplitLeftKernel(const float* a, int64_t count, int64_t k, float factor, float* left,
                                int64_t stride) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const float value = factor * a[i];
  const float high = HighPart(value);
  float* to = left + i / k * stride + i % k;
  to[0] = high;
  to[k] = high;
  to[2 * k] = HighPart(value - high);
}

__global__ void SplitRightKernel(const float* b, int64_t count, float* right) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const float high = HighPart(b[i]);
  right[i] = high;
  right[count + i] = HighPart(b[i] - high);
  right[2 * count + i] = high;
}

unsigned Blocks(int64_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

}  // namespace

void LaunchSplitLeft(cudaStream_t stream, const float* a, int64_t rows, int64_t k, float factor,
                     float* left, int64_t stride) {
  SplitLeftKernel<<<Blocks(rows * k), kThreads, 0, stream>>>(a, rows * k, k, factor, left, stride);
}

void LaunchSplitRight(cudaStream_t stream, const float* b, int64_t k, int64_t columns,
                      float* right) {
  SplitRightKernel<<<Blocks(k * columns), kThreads, 0, stream>>>(b, k * columns, right);
}

}  // namespace tern
