#include <cuda_fp16.h>

#include <cassert>

#include "worker/backend/cuda/activation.cuh"
#include "worker/backend/cuda/rotation_kernels.h"
#include "worker/backend/cuda/scaled_rows.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

using Bf16 = __nv_bfloat16;

constexpr int kThreads = 128;
constexpr int kLargestExponent = 7;   // magnitudes end up below 2^7
constexpr int kLeastExponent = -120;  // of magnitudes that a float can still be scaled up from

// The e of the row's scale 2^e; 0 for rows of zeros, and for those with an infinity, which stay so.
// All threads of the block call it.
__device__ int ExponentOfRow(const Bf16* row, int64_t m) {
  float most = 0;
  if (m % kVector == 0) {
    for (int64_t j = threadIdx.x * kVector; j < m; j += kThreads * kVector) {
      float values[kVector];
      LoadVector(row + j, values);
#pragma unroll
      for (const float value : values) most = fmaxf(most, fabsf(value));
    }
  } else {
    for (int64_t j = threadIdx.x; j < m; j += kThreads) most = fmaxf(most, fabsf(Load(row + j)));
  }
  most = BlockMax<kThreads>(most);
  if (most == 0 || isinf(most)) return 0;
  int exponent;
  frexpf(most, &exponent);
  return max(exponent, kLeastExponent) - kLargestExponent;
}

__global__ void __launch_bounds__(kThreads)
    ScaleRowsKernel(const Bf16* x, int64_t m, __half* out, float* scales) {
  const Bf16* row = x + blockIdx.x * m;
  __half* to = out + blockIdx.x * m;
  const int exponent = ExponentOfRow(row, m);
  const float factor = ldexpf(1, -exponent);
  if (threadIdx.x == 0) scales[blockIdx.x] = ldexpf(1, exponent);
  if (m % kVector == 0) {
    for (int64_t j = threadIdx.x * kVector; j < m; j += kThreads * kVector) {
      float values[kVector];
      LoadVector(row + j, values);
#pragma unroll
      for (float& value : values) value *= factor;
      StoreVector(values, to + j);
    }
  } else {
    for (int64_t j = threadIdx.x; j < m; j += kThreads) Store(factor * Load(row + j), to + j);
  }
}

// Neighbours in a row, taken at once.
template <typename Pair>
struct Columns;

template <>
struct Columns<float2> {
  static constexpr int kCount = 2;
  __device__ static float2 Read(const Bf16* from) {
    return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(from));
  }
  __device__ static void Write(float2 value, __half* to) {
    *reinterpret_cast<__half2*>(to) = __float22half2_rn(value);
  }
};

template <>
struct Columns<float> {
  static constexpr int kCount = 1;
  __device__ static float Read(const Bf16* from) { return Load(from); }
  __device__ static void Write(float value, __half* to) { Store(value, to); }
};

__device__ inline float Times(float f, float x) { return f * x; }
__device__ inline float2 Times(float f, float2 x) { return make_float2(f * x.x, f * x.y); }
__device__ inline float Add(float f, float x, float sum) { return fmaf(f, x, sum); }
__device__ inline float2 Add(float f, float2 x, float2 sum) {
  return make_float2(fmaf(f, x.x, sum.x), fmaf(f, x.y, sum.y));
}

// A block a row. A thread takes columns of X, n1 ≤ kMost values each, to registers: r1, its rows
// filled up with zeros, comes from shared memory at four values a load.
template <int kMost, typename Value>
__global__ void __launch_bounds__(kThreads)
    ScaleAndMultiplyLeftKernel(const Bf16* x, const float* r1, int n1, int64_t n2, __half* out,
                               float* scales) {
  __shared__ float4 factor[kMost][kMost / 4];
  auto* values = reinterpret_cast<float*>(factor);
  for (int i = threadIdx.x; i < n1 * kMost; i += kThreads) {
    const int c = i % kMost;
    values[i] = c < n1 ? r1[i / kMost * n1 + c] : 0.0f;
  }
  const int64_t m = n1 * n2;
  const Bf16* row = x + blockIdx.x * m;
  __half* to = out + blockIdx.x * m;
  const int exponent = ExponentOfRow(row, m);  // whose barriers are the shared memory's too
  const float scale = ldexpf(1, -exponent);
  if (threadIdx.x == 0) scales[blockIdx.x] = ldexpf(1, exponent);
  using Some = Columns<Value>;
  for (int64_t j = threadIdx.x * Some::kCount; j < n2; j += kThreads * Some::kCount) {
    Value column[kMost];
#pragma unroll
    for (int b = 0; b < kMost; ++b) {
      column[b] = b < n1 ? Times(scale, Some::Read(row + b * n2 + j)) : Value{};
    }
    for (int a = 0; a < n1; ++a) {
      Value sum{};
#pragma unroll
      for (int b = 0; b < kMost / 4; ++b) {
        const float4 f = factor[a][b];
        sum = Add(f.x, column[4 * b], sum);
        sum = Add(f.y, column[4 * b + 1], sum);
        sum = Add(f.z, column[4 * b + 2], sum);
        sum = Add(f.w, column[4 * b + 3], sum);
      }
      Some::Write(sum, to + a * n2 + j);
    }
  }
}

template <int kMost>
void LaunchMost(cudaStream_t stream, const Tensor& x, const Tensor& r1, int64_t n2,
                const Tensor& out, const Tensor& scales) {
  const auto rows = static_cast<unsigned>(x.rows());
  const auto n1 = static_cast<int>(r1.rows());
  const auto launch = [&]<typename Value>(Value) {
    ScaleAndMultiplyLeftKernel<kMost, Value><<<rows, kThreads, 0, stream>>>(
        x.data<Bf16>(), r1.data<float>(), n1, n2, out.data<__half>(), scales.data<float>());
  };
  n2 % 2 == 0 ? launch(float2{}) : launch(float{});
}

__global__ void __launch_bounds__(kThreads)
    UnscaleRowsKernel(const __half* y, const float* scales, int64_t m, Bf16* to) {
  const float scale = scales[blockIdx.x];
  const int64_t first = blockIdx.x * m;
  for (int64_t j = threadIdx.x; j < m; j += kThreads) {
    Store(scale * Load(y + first + j), to + first + j);
  }
}

}  // namespace

void LaunchScaleRows(cudaStream_t stream, const Tensor& x, const Tensor& out,
                     const Tensor& scales) {
  if (x.elements() == 0) return;
  ScaleRowsKernel<<<static_cast<unsigned>(x.rows()), kThreads, 0, stream>>>(
      x.data<Bf16>(), x.cols(), out.data<__half>(), scales.data<float>());
}

void LaunchScaleAndMultiplyLeft(cudaStream_t stream, const Tensor& x, const Tensor& r1, int64_t n2,
                                const Tensor& out, const Tensor& scales) {
  static_assert(kWidestLeftFactor == 32);
  assert(r1.rows() <= kWidestLeftFactor && r1.rows() * n2 == x.cols());
  if (x.elements() == 0) return;
  if (r1.rows() <= 8) {
    LaunchMost<8>(stream, x, r1, n2, out, scales);
  } else if (r1.rows() <= 16) {
    LaunchMost<16>(stream, x, r1, n2, out, scales);
  } else {
    LaunchMost<32>(stream, x, r1, n2, out, scales);
  }
}

void LaunchUnscaleRows(cudaStream_t stream, const Tensor& y, const Tensor& scales,
                       const Tensor& to) {
  if (y.elements() == 0) return;
  UnscaleRowsKernel<<<static_cast<unsigned>(y.rows()), kThreads, 0, stream>>>(
      y.data<__half>(), scales.data<float>(), y.cols(), to.data<Bf16>());
}

}  // namespace tern
