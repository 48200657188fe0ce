#include <cmath>

#include "worker/backend/cuda/attention_grid.cuh"
#include "worker/backend/cuda/attention_kernels.h"

// A block owns a tile of queries of one head and goes over tiles of keys and values in shared
// memory, with an online softmax. 16 threads share a query: each has every 16th key of a tile, and
// of each 64 columns of the result 4.

namespace tern {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 16;  // threads of a query, half a warp
constexpr int kKeys = 32;
constexpr int kKeysPerThread = kKeys / kLanes;
constexpr int kPadding = 4;  // floats; puts equal columns of following rows in different banks

template <int kHeadDim>
struct Tiling {
  static constexpr int kRows = kHeadDim <= 128 ? 4 : 2;  // queries of a thread
  static constexpr int kQueries = kThreads / kLanes * kRows;
  static constexpr int kChunks = kHeadDim / 64;  // of 4 columns, a thread's
  static constexpr int kStride = kHeadDim + kPadding;
  static constexpr int kWeightStride = kKeys + kPadding;
  static constexpr int kSharedFloats = (kQueries + kKeys) * kStride + kQueries * kWeightStride;
};

// Rows [first, first + kRows) of a head; zeros where they pass the window's end or head_dim.
template <int kHeadDim, int kRows>
__device__ __forceinline__ void CopyTile(const float* head, int64_t stride, int first,
                                         const AttentionSizes& sizes, float* to) {
  for (int i = threadIdx.x; i < kRows * kHeadDim; i += kThreads) {
    const int row = i / kHeadDim, column = i % kHeadDim;
    const bool inside = first + row < sizes.window_length && column < sizes.head_dim;
    to[row * Tiling<kHeadDim>::kStride + column] =
        inside ? head[(first + row) * stride + column] : 0.0f;
  }
}

__device__ __forceinline__ float4 Float4At(const float* x) {
  return *reinterpret_cast<const float4*>(x);
}

__device__ __forceinline__ float MaxOfLanes(float x) {
  for (int i = kLanes / 2; i > 0; i /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, i));
  return x;
}

__device__ __forceinline__ float SumOfLanes(float x) {
  for (int i = kLanes / 2; i > 0; i /= 2) x += __shfl_xor_sync(0xffffffff, x, i);
  return x;
}

// scores[i][j] = query i · key lane + 16·j, or kHiddenScore. row is query 0's position and key that
// of the tile's first key.
template <int kHeadDim>
__device__ __forceinline__ void ScoreTile(
    const float* queries, const float* keys, int row, int key, int reach,
    float (&scores)[Tiling<kHeadDim>::kRows][kKeysPerThread]) {
  using T = Tiling<kHeadDim>;
  const int lane = threadIdx.x % kLanes;
#pragma unroll
  for (int i = 0; i < T::kRows; ++i) {
#pragma unroll
    for (int j = 0; j < kKeysPerThread; ++j) scores[i][j] = 0;
  }
#pragma unroll 4
  for (int column = 0; column < kHeadDim; column += 4) {
    float4 b[kKeysPerThread];
#pragma unroll
    for (int j = 0; j < kKeysPerThread; ++j) {
      b[j] = Float4At(keys + (lane + j * kLanes) * T::kStride + column);
    }
#pragma unroll
    for (int i = 0; i < T::kRows; ++i) {
      const float4 a = Float4At(queries + i * T::kStride + column);
#pragma unroll
      for (int j = 0; j < kKeysPerThread; ++j) {
        float& score = scores[i][j];
        score = fmaf(a.x, b[j].x, score);
        score = fmaf(a.y, b[j].y, score);
        score = fmaf(a.z, b[j].z, score);
        score = fmaf(a.w, b[j].w, score);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < T::kRows; ++i) {
#pragma unroll
    for (int j = 0; j < kKeysPerThread; ++j) {
      const int distance = row + i - (key + lane + j * kLanes);
      if (distance < 0 || distance >= reach) scores[i][j] = kHiddenScore;
    }
  }
}

// mixed[i] += Σ weights of query i · values, of the thread's columns.
template <int kHeadDim>
__device__ __forceinline__ void MixTile(
    const float* weights, const float* values,
    float4 (&mixed)[Tiling<kHeadDim>::kRows][Tiling<kHeadDim>::kChunks]) {
  using T = Tiling<kHeadDim>;
  const int lane = threadIdx.x % kLanes;
#pragma unroll 4
  for (int key = 0; key < kKeys; ++key) {
    float weight[T::kRows];
#pragma unroll
    for (int i = 0; i < T::kRows; ++i) weight[i] = weights[i * T::kWeightStride + key];
#pragma unroll
    for (int c = 0; c < T::kChunks; ++c) {
      const float4 value = Float4At(values + key * T::kStride + c * 64 + lane * 4);
#pragma unroll
      for (int i = 0; i < T::kRows; ++i) {
        float4& sum = mixed[i][c];
        sum.x = fmaf(weight[i], value.x, sum.x);
        sum.y = fmaf(weight[i], value.y, sum.y);
        sum.z = fmaf(weight[i], value.z, sum.z);
        sum.w = fmaf(weight[i], value.w, sum.w);
      }
    }
  }
}

// scale = log2(e) / sqrt(head_dim): weights are powers of 2.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads, 2)
    AttendTile(const float* q, const float* k, const float* v, AttentionSizes sizes,
               AttentionGrid grid, float scale, float* out) {
  using T = Tiling<kHeadDim>;
  extern __shared__ float4 shared[];
  float* const queries = reinterpret_cast<float*>(shared);
  float* const tile_rows = queries + T::kQueries * T::kStride;  // of keys, then of values
  float* const weights = tile_rows + kKeys * T::kStride;

  const QueryTile tile = TileOfBlock(grid, sizes, T::kQueries);
  const int64_t stride = int64_t{sizes.heads} * sizes.head_dim;
  const int64_t kv_stride = int64_t{sizes.kv_heads} * sizes.head_dim;
  const int64_t token = int64_t{tile.window} * sizes.window_length;
  const int64_t query_head = token * stride + tile.head * sizes.head_dim;
  const int64_t key_head = token * kv_stride + tile.head / (sizes.heads / sizes.kv_heads) *
                                                   static_cast<int64_t>(sizes.head_dim);
  CopyTile<kHeadDim, T::kQueries>(q + query_head, stride, tile.first, sizes, queries);

  const int lane = threadIdx.x % kLanes, row = threadIdx.x / kLanes * T::kRows;
  float* const row_weights = weights + row * T::kWeightStride;
  float4 mixed[T::kRows][T::kChunks] = {};
  float greatest[T::kRows], sum[T::kRows] = {};
#pragma unroll
  for (int i = 0; i < T::kRows; ++i) greatest[i] = kLowestScore;

  const int begin = max(0, tile.first - sizes.reach + 1) / kKeys * kKeys;
  const int end = min(tile.first + T::kQueries, sizes.window_length);
  for (int key = begin; key < end; key += kKeys) {
    __syncthreads();  // none reads the last tile's values any more
    CopyTile<kHeadDim, kKeys>(k + key_head, kv_stride, key, sizes, tile_rows);
    __syncthreads();
    float scores[T::kRows][kKeysPerThread];
    ScoreTile<kHeadDim>(queries + row * T::kStride, tile_rows, tile.first + row, key, sizes.reach,
                        scores);
#pragma unroll
    for (int i = 0; i < T::kRows; ++i) {
      float top = greatest[i];
#pragma unroll
      for (int j = 0; j < kKeysPerThread; ++j) top = fmaxf(top, scores[i][j]);
      top = MaxOfLanes(top);
      const float factor = Exp2((greatest[i] - top) * scale);
      greatest[i] = top;
      sum[i] *= factor;
#pragma unroll
      for (int c = 0; c < T::kChunks; ++c) {
        float4& x = mixed[i][c];
        x = {x.x * factor, x.y * factor, x.z * factor, x.w * factor};
      }
#pragma unroll
      for (int j = 0; j < kKeysPerThread; ++j) {
        const float weight = Exp2((scores[i][j] - top) * scale);
        sum[i] += weight;
        row_weights[i * T::kWeightStride + lane + j * kLanes] = weight;
      }
    }
    __syncthreads();  // none reads the keys any more, and the weights are there
    CopyTile<kHeadDim, kKeys>(v + key_head, kv_stride, key, sizes, tile_rows);
    __syncthreads();
    MixTile<kHeadDim>(row_weights, tile_rows, mixed);
  }

#pragma unroll
  for (int i = 0; i < T::kRows; ++i) {
    const float factor = 1 / SumOfLanes(sum[i]);
    const int position = tile.first + row + i;
    if (position >= sizes.window_length) continue;
    float* const to = out + query_head + position * stride;
#pragma unroll
    for (int c = 0; c < T::kChunks; ++c) {
      const float4 x = mixed[i][c];
      const float values[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = c * 64 + lane * 4 + j;
        if (column < sizes.head_dim) to[column] = values[j] * factor;
      }
    }
  }
}

template <int kHeadDim>
cudaError_t Launch(cudaStream_t stream, const float* q, const float* k, const float* v,
                   const AttentionSizes& sizes, float* out) {
  using T = Tiling<kHeadDim>;
  constexpr int kSharedBytes = T::kSharedFloats * sizeof(float);
  if (const cudaError_t error = cudaFuncSetAttribute(
          AttendTile<kHeadDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
      error != cudaSuccess) {
    return error;
  }
  const AttentionGrid grid = MakeAttentionGrid(sizes, T::kQueries, sizeof(float));
  const auto scale = static_cast<float>(kLog2E / std::sqrt(static_cast<double>(sizes.head_dim)));
  AttendTile<kHeadDim><<<grid.tiles * grid.heads, kThreads, kSharedBytes, stream>>>(
      q, k, v, sizes, grid, scale, out);
  return cudaGetLastError();
}

}  // namespace

cudaError_t LaunchCausalAttention(cudaStream_t stream, const float* q, const float* k,
                                  const float* v, const AttentionSizes& sizes, float* out) {
  if (sizes.head_dim > kMaxHeadDim) return cudaErrorNotSupported;
  if (sizes.windows == 0) return cudaSuccess;
  const auto launch = sizes.head_dim <= 64    ? Launch<64>
                      : sizes.head_dim <= 128 ? Launch<128>
                                              : Launch<256>;
  return launch(stream, q, k, v, sizes, out);
}

}  // namespace tern
