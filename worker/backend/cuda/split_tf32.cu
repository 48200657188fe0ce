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

__global__ void SplitKernel(const float* from, int64_t count, int64_t cols, int64_t from_stride,
                            float factor, SplitLayout layout, float* to) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t row = i / cols;
  const int64_t col = i - row * cols;
  const float value = factor * from[row * from_stride + col];
  const float high = HighPart(value);
  const float low = HighPart(value - high);
  float* const first = to + row * layout.to_stride + col;
  for (int part = 0; part < 3; ++part) {
    first[part * layout.part_offset] = part == layout.low_part ? low : high;
  }
}

}  // namespace

void LaunchSplit(cudaStream_t stream, const float* from, int64_t rows, int64_t cols,
                 int64_t from_stride, float factor, const SplitLayout& layout, float* to) {
  const int64_t count = rows * cols;
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  if (blocks == 0) return;
  SplitKernel<<<blocks, kThreads, 0, stream>>>(from, count, cols, from_stride, factor, layout, to);
}

}  // namespace tern
