#include <cuda_fp16.h>

#include "worker/backend/cuda/activation.cuh"
#include "worker/backend/cuda/transformer_kernels.h"
#include "worker/backend/cuda/warp_sums.cuh"

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int kRowThreads = 256;

using Bf16 = __nv_bfloat16;

unsigned Blocks(int64_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

__device__ int64_t Index() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

// Calls work(pointer of its type) for a tensor of activations.
template <typename Work>
void WithType(const Tensor& tensor, Work work) {
  if (tensor.type() == ElementType::kBF16) {
    work(tensor.data<Bf16>());
  } else {
    work(tensor.data<float>());
  }
}

__global__ void EmbedKernel(const float* table, const int32_t* ids, int64_t count, int64_t width,
                            float* out) {
  const int64_t i = Index();
  if (i < count) out[i] = table[ids[i / width] * width + i % width];
}

// A block a row, or for short rows a warp.
template <int kThreadsARow, typename X, typename Out>
__global__ void RmsNormKernel(const X* x, const float* weight, int64_t rows, int64_t width,
                              float eps, Out* out) {
  const int64_t r = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kThreadsARow;
  if (r >= rows) return;
  const int lane = threadIdx.x % kThreadsARow;
  const X* row = x + r * width;
  Out* to = out + r * width;
  const bool vectors = width % kVector == 0;
  float squares = 0;
  if (vectors) {
    for (int64_t j = lane * kVector; j < width; j += kThreadsARow * kVector) {
      float values[kVector];
      LoadVector(row + j, values);
#pragma unroll
      for (const float value : values) squares += value * value;
    }
  } else {
    for (int64_t j = lane; j < width; j += kThreadsARow) squares += Load(row + j) * Load(row + j);
  }
  squares = BlockSum<kThreadsARow>(squares);
  const float scale = 1.0f / sqrtf(squares / static_cast<float>(width) + eps);
  if (vectors) {
    for (int64_t j = lane * kVector; j < width; j += kThreadsARow * kVector) {
      float values[kVector];
      float weights[kVector];
      LoadVector(row + j, values);
      LoadVector(weight + j, weights);
#pragma unroll
      for (int i = 0; i < kVector; ++i) values[i] = values[i] * scale * weights[i];
      StoreVector(values, to + j);
    }
  } else {
    for (int64_t j = lane; j < width; j += kThreadsARow) {
      Store(Load(row + j) * scale * weight[j], to + j);
    }
  }
}

// A thread takes kCount neighbouring pairs of one head, all or none of which there are.
template <int kCount, typename T>
__global__ void RopeKernel(const float* cos, const float* sin, int64_t window_length, int64_t heads,
                           int64_t half, int64_t count, T* x) {
  const int64_t i = Index() * kCount;  // of a pair
  if (i >= count) return;
  const int64_t head = i / half;  // of all tokens
  const int64_t j = i - head * half;
  const int64_t angle = head / heads % window_length * half + j;
  T* pair = x + head * 2 * half + j;
  if constexpr (kCount == kVector) {
    float c[kVector];
    float s[kVector];
    float a[kVector];
    float b[kVector];
    LoadVector(cos + angle, c);
    LoadVector(sin + angle, s);
    LoadVector(pair, a);
    LoadVector(pair + half, b);
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      const float first = a[k];
      a[k] = first * c[k] - b[k] * s[k];
      b[k] = b[k] * c[k] + first * s[k];
    }
    StoreVector(a, pair);
    StoreVector(b, pair + half);
  } else {
    const float a = Load(pair);
    const float b = Load(pair + half);
    Store(a * cos[angle] - b * sin[angle], pair);
    Store(b * cos[angle] + a * sin[angle], pair + half);
  }
}

__device__ float SiluTimes(float gate, float up) { return gate / (1.0f + __expf(-gate)) * up; }

// kAligned: all three are 16-byte aligned.
template <bool kAligned, typename T>
__global__ void SwiGluKernel(const T* gate, const T* up, int64_t count, T* out) {
  const int64_t first = Index() * kVector;
  if (kAligned && first + kVector <= count) {
    float a[kVector];
    float b[kVector];
    LoadVector(gate + first, a);
    LoadVector(up + first, b);
#pragma unroll
    for (int i = 0; i < kVector; ++i) a[i] = SiluTimes(a[i], b[i]);
    StoreVector(a, out + first);
    return;
  }
  const int64_t end = min(count, first + kVector);
  for (int64_t i = first; i < end; ++i) Store(SiluTimes(Load(gate + i), Load(up + i)), out + i);
}

template <typename T>
void SwiGlu(cudaStream_t stream, const T* gate, const T* up, int64_t count, T* out) {
  const unsigned blocks = Blocks((count + kVector - 1) / kVector);
  const auto address = [](const T* data) { return reinterpret_cast<uintptr_t>(data); };
  if ((address(gate) | address(up) | address(out)) % 16 == 0) {
    SwiGluKernel<true><<<blocks, kThreads, 0, stream>>>(gate, up, count, out);
  } else {
    SwiGluKernel<false><<<blocks, kThreads, 0, stream>>>(gate, up, count, out);
  }
}

template <typename T>
__global__ void AddBiasKernel(const float* bias, int64_t count, int64_t width, T* y) {
  const int64_t i = Index();
  if (i < count) Store(Load(y + i) + bias[i % width], y + i);
}

__device__ float LoadAny(const float* from) { return *from; }
__device__ float LoadAny(const Bf16* from) { return __bfloat162float(*from); }
__device__ float LoadAny(const __half* from) { return __half2float(*from); }
__device__ void StoreAny(float value, float* to) { *to = value; }
__device__ void StoreAny(float value, Bf16* to) { *to = __float2bfloat16_rn(value); }
__device__ void StoreAny(float value, __half* to) { *to = __float2half_rn(value); }

template <typename From, typename To>
__global__ void ConvertKernel(const From* from, int64_t count, To* to) {
  const int64_t i = Index();
  if (i < count) StoreAny(LoadAny(from + i), to + i);
}

template <typename From>
void ConvertFrom(cudaStream_t stream, const From* from, const Tensor& to) {
  const int64_t count = to.elements();
  const unsigned blocks = Blocks(count);
  if (to.type() == ElementType::kBF16) {
    ConvertKernel<<<blocks, kThreads, 0, stream>>>(from, count, to.data<Bf16>());
  } else if (to.type() == ElementType::kF16) {
    ConvertKernel<<<blocks, kThreads, 0, stream>>>(from, count, to.data<__half>());
  } else {
    ConvertKernel<<<blocks, kThreads, 0, stream>>>(from, count, to.data<float>());
  }
}

__global__ void ScaleKernel(float factor, int64_t count, float* values) {
  const int64_t i = Index();
  if (i < count) values[i] *= factor;
}

}  // namespace

void LaunchEmbed(cudaStream_t stream, const float* table, const int32_t* ids, int64_t tokens,
                 int64_t width, float* out) {
  const int64_t count = tokens * width;
  EmbedKernel<<<Blocks(count), kThreads, 0, stream>>>(table, ids, count, width, out);
}

void LaunchRmsNorm(cudaStream_t stream, const Tensor& x, const float* weight, double eps,
                   const Tensor& out) {
  const int64_t rows = x.rows();
  const int64_t width = x.cols();
  const auto epsilon = static_cast<float>(eps);
  WithType(x, [&](const auto* from) {
    WithType(out, [&](auto* to) {
      if (width <= 256) {
        const auto blocks = static_cast<unsigned>((rows * kWarp + kRowThreads - 1) / kRowThreads);
        RmsNormKernel<kWarp>
            <<<blocks, kRowThreads, 0, stream>>>(from, weight, rows, width, epsilon, to);
      } else {
        RmsNormKernel<kRowThreads><<<static_cast<unsigned>(rows), kRowThreads, 0, stream>>>(
            from, weight, rows, width, epsilon, to);
      }
    });
  });
}

void LaunchRope(cudaStream_t stream, const float* cos, const float* sin, int64_t window_length,
                int64_t heads, const Tensor& x) {
  const int64_t half = x.cols() / heads / 2;
  const int64_t pairs = x.elements() / 2;
  WithType(x, [&](auto* data) {
    if (half % kVector == 0) {
      RopeKernel<kVector><<<Blocks(pairs / kVector), kThreads, 0, stream>>>(
          cos, sin, window_length, heads, half, pairs, data);
    } else {
      RopeKernel<1><<<Blocks(pairs), kThreads, 0, stream>>>(cos, sin, window_length, heads, half,
                                                            pairs, data);
    }
  });
}

void LaunchSwiGlu(cudaStream_t stream, const Tensor& gate, const Tensor& up, const Tensor& out) {
  if (out.type() == ElementType::kBF16) {
    SwiGlu(stream, gate.data<Bf16>(), up.data<Bf16>(), out.elements(), out.data<Bf16>());
  } else {
    SwiGlu(stream, gate.data<float>(), up.data<float>(), out.elements(), out.data<float>());
  }
}

void LaunchAddBias(cudaStream_t stream, const float* bias, const Tensor& y) {
  WithType(y, [&](auto* data) {
    AddBiasKernel<<<Blocks(y.elements()), kThreads, 0, stream>>>(bias, y.elements(), y.cols(),
                                                                 data);
  });
}

void LaunchConvert(cudaStream_t stream, const Tensor& from, const Tensor& to) {
  if (from.type() == ElementType::kBF16) {
    ConvertFrom(stream, from.data<Bf16>(), to);
  } else if (from.type() == ElementType::kF16) {
    ConvertFrom(stream, from.data<__half>(), to);
  } else {
    ConvertFrom(stream, from.data<float>(), to);
  }
}

void LaunchScale(cudaStream_t stream, float factor, int64_t count, float* values) {
  ScaleKernel<<<Blocks(count), kThreads, 0, stream>>>(factor, count, values);
}

}  // namespace tern
