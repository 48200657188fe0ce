#include <cfloat>

#include "worker/backend/activation_grid.h"
#include "worker/backend/cuda/activation.cuh"
#include "worker/backend/cuda/activation_kernels.h"
#include "worker/backend/cuda/loss_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int kShortRow = 256;  // up to which a warp is enough

struct Value {
  __device__ static float Of(float x, const ActivationGrid& grid) { return Quantized(x, grid); }
  __device__ static float Unchanged(float x) { return x; }
};

struct Error {
  __device__ static float Of(float x, const ActivationGrid& grid) { return QuantizedLess(x, grid); }
  __device__ static float Unchanged(float x) { return x - x; }
};

template <typename Result>
__device__ float Converted(float x, const ActivationGrid& grid) {
  return grid.scale == 0 ? Result::Unchanged(x) : Result::Of(x, grid);
}

// A block a row, or for short rows a warp. The row r is scales[r] times that of x, or that of x
// without scales. x and out may be one.
template <typename Result, int kThreadsARow, typename From, typename To>
__global__ void QuantizeKernel(const From* x, const float* scales, int64_t rows, int64_t width,
                               int bits, double clip, To* out) {
  const int64_t r = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kThreadsARow;
  if (r >= rows) return;
  const int lane = threadIdx.x % kThreadsARow;
  const From* row = x + r * width;
  To* to = out + r * width;
  const float factor = scales == nullptr ? 1.0f : scales[r];
  const bool vectors = width % kVector == 0;
  float max = -FLT_MAX;
  float min = FLT_MAX;
  const auto take = [&](float value) {
    max = fmaxf(max, value);
    min = fminf(min, value);
  };
  if (vectors) {
    for (int64_t j = lane * kVector; j < width; j += kThreadsARow * kVector) {
      float values[kVector];
      LoadVector(row + j, values);
#pragma unroll
      for (const float value : values) take(factor * value);
    }
  } else {
    for (int64_t j = lane; j < width; j += kThreadsARow) take(factor * Load(row + j));
  }
  max = BlockMax<kThreadsARow>(max);
  min = -BlockMax<kThreadsARow>(-min);
  const ActivationGrid grid = GridOfRow(min, max, bits, clip);
  if (vectors) {
    for (int64_t j = lane * kVector; j < width; j += kThreadsARow * kVector) {
      float values[kVector];
      LoadVector(row + j, values);
#pragma unroll
      for (float& value : values) value = Converted<Result>(factor * value, grid);
      StoreVector(values, to + j);
    }
  } else {
    for (int64_t j = lane; j < width; j += kThreadsARow) {
      Store(Converted<Result>(factor * Load(row + j), grid), to + j);
    }
  }
}

template <typename Result, typename From, typename To>
void Quantize(cudaStream_t stream, const Tensor& x, const float* scales, int bits, double clip,
              const Tensor& out) {
  const int64_t rows = x.rows();
  if (x.elements() == 0) return;
  if (x.cols() <= kShortRow) {
    const auto blocks = static_cast<unsigned>((rows * kWarp + kThreads - 1) / kThreads);
    QuantizeKernel<Result, kWarp><<<blocks, kThreads, 0, stream>>>(
        x.data<From>(), scales, rows, x.cols(), bits, clip, out.data<To>());
  } else {
    QuantizeKernel<Result, kThreads><<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(
        x.data<From>(), scales, rows, x.cols(), bits, clip, out.data<To>());
  }
}

template <typename Result>
void Quantize(cudaStream_t stream, const Tensor& x, int bits, double clip, const Tensor& out) {
  if (x.type() == ElementType::kBF16) {
    Quantize<Result, __nv_bfloat16, __nv_bfloat16>(stream, x, nullptr, bits, clip, out);
  } else {
    Quantize<Result, float, float>(stream, x, nullptr, bits, clip, out);
  }
}

__global__ void AddPartialsKernel(const double* partials, float* sum) {
  double own = 0;
  for (int i = threadIdx.x; i < kEnergyPartials; i += kThreads) own += partials[i];
  const double total = BlockSum<kThreads>(own);
  if (threadIdx.x == 0) *sum += static_cast<float>(total);
}

}  // namespace

void LaunchQuantize(cudaStream_t stream, const Tensor& x, int bits, double clip,
                    const Tensor& out) {
  Quantize<Value>(stream, x, bits, clip, out);
}

void LaunchQuantizeScaled(cudaStream_t stream, const Tensor& y, const Tensor& scales, int bits,
                          double clip, const Tensor& out) {
  Quantize<Value, __half, __nv_bfloat16>(stream, y, scales.data<float>(), bits, clip, out);
}

void LaunchQuantizationError(cudaStream_t stream, const Tensor& x, int bits, double clip,
                             const Tensor& error) {
  Quantize<Error>(stream, x, bits, clip, error);
}

void LaunchAddPartials(cudaStream_t stream, const double* partials, float* sum) {
  AddPartialsKernel<<<1, kThreads, 0, stream>>>(partials, sum);
}

}  // namespace tern
