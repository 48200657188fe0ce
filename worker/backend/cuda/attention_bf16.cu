#include <cmath>

#include "worker/backend/cuda/attention_grid.cuh"
#include "worker/backend/cuda/attention_kernels.h"
#include "worker/backend/cuda/attention_tile.cuh"

// FlashAttention-2 (Dao, arXiv 2307.08691) on mma.sync: a block owns a tile of queries of one head,
// and goes over tiles of keys and values, the next being copied while one is worked on. A warp owns
// whole rows of scores, so that the online softmax stays in registers.

namespace tern {
namespace bf16_attention {
namespace {

// Writes mixed / sum through shared memory, where the warp's queries lay, so that whole chunks of
// 16 bytes go out. first is the warp's first position.
template <int kHeadDim>
__device__ __forceinline__ void StoreRows(WarpRows<kHeadDim>& rows, int warp_row, int first,
                                          const AttentionSizes& sizes, uint8_t* staging,
                                          __nv_bfloat16* head, int64_t stride) {
  using T = Tiling<kHeadDim>;
  const int lane = ThreadIndex() % 32;
  __syncwarp();  // the queries have been read by every lane
#pragma unroll
  for (int m = 0; m < T::kRowBlocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = rows.sum[m][half];
      sum += __shfl_xor_sync(0xffffffff, sum, 1);
      sum += __shfl_xor_sync(0xffffffff, sum, 2);
      const float factor = 1 / sum;
      const int row = warp_row + m * 16 + half * 8 + lane / 4;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n) {
        uint8_t* to = staging + n / 4 * T::kQueries * kPanelRowBytes + PlaceInPanel(row, n % 4);
        reinterpret_cast<uint32_t*>(to)[lane % 4] =
            PackBf16(rows.mixed[m][n][2 * half] * factor, rows.mixed[m][n][2 * half + 1] * factor);
      }
    }
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < T::kWarpRows; i += 8) {
    const int row = i + lane / 4;
    if (first + row >= sizes.window_length) continue;
#pragma unroll
    for (int panel = 0; panel < T::kPanels; ++panel) {
      const int column = panel * kPanelColumns + lane % 4 * 8;
      if (column >= sizes.head_dim) continue;
      const uint8_t* from =
          staging + panel * T::kQueries * kPanelRowBytes + PlaceInPanel(warp_row + row, lane % 4);
      *reinterpret_cast<uint4*>(head + (first + row) * stride + column) =
          *reinterpret_cast<const uint4*>(from);
    }
  }
}

// scale = log2(e) / sqrt(head_dim): weights are powers of 2.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads, 2)
    AttendTile(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
               AttentionSizes sizes, AttentionGrid grid, float scale, __nv_bfloat16* out) {
  using T = Tiling<kHeadDim>;
  extern __shared__ __align__(128) uint8_t shared[];
  const QueryTile tile = TileOfBlock(grid, sizes, T::kQueries);
  const int64_t stride = int64_t{sizes.heads} * sizes.head_dim;
  const int64_t kv_stride = int64_t{sizes.kv_heads} * sizes.head_dim;
  const int64_t token = int64_t{tile.window} * sizes.window_length;
  const int64_t query_head = token * stride + tile.head * sizes.head_dim;
  const int kv_head = tile.head / (sizes.heads / sizes.kv_heads);
  const int64_t key_head = token * kv_stride + kv_head * sizes.head_dim;

  const uint32_t queries = SharedAddress(shared), keys = queries + T::kQueryBytes;
  const int begin = max(0, tile.first - sizes.reach + 1) / T::kKeys * T::kKeys;
  const int end = min(tile.first + T::kQueries, sizes.window_length);
  CopyTile<kHeadDim, T::kQueries>(q + query_head, stride, tile.first, sizes, queries);
  CopyTile<kHeadDim, T::kKeys>(k + key_head, kv_stride, begin, sizes, keys);
  CopyTile<kHeadDim, T::kKeys>(v + key_head, kv_stride, begin, sizes, keys + T::kKeyBytes);

  const int thread = ThreadIndex(), lane = thread % 32, warp_row = thread / 32 * T::kWarpRows;
  const int first = tile.first + warp_row, last = first + T::kWarpRows - 1;
  // What LoadMatrices wants of a lane: of queries and values, rows 0-15 of two chunks; of keys,
  // both chunks of rows 0-7 first.
  const uint32_t lane_queries =
      queries + warp_row * kPanelRowBytes + PlaceInPanel(lane % 16, lane / 16);
  const uint32_t lane_keys = PlaceInPanel(lane % 8 + lane / 16 * 8, lane / 8 % 2);
  const uint32_t lane_values = T::kKeyBytes + PlaceInPanel(lane % 16, lane / 16);

  WarpRows<kHeadDim> rows = {};
#pragma unroll
  for (int m = 0; m < T::kRowBlocks; ++m) rows.shift[m][0] = rows.shift[m][1] = kLowestScore;

  uint32_t stage = keys, next_stage = keys + 2 * T::kKeyBytes;
  for (int key = begin; key < end; key += T::kKeys) {
    WaitForCopies();
    __syncthreads();  // this tile has come for all, and none reads the last one any more
    if (const int next = key + T::kKeys; next < end) {
      CopyTile<kHeadDim, T::kKeys>(k + key_head, kv_stride, next, sizes, next_stage);
      CopyTile<kHeadDim, T::kKeys>(v + key_head, kv_stride, next, sizes, next_stage + T::kKeyBytes);
    }
    const bool seen = key <= last && key + T::kKeys > first - sizes.reach + 1;
    if (seen && first < sizes.window_length) {
      Scores<kHeadDim> scores;
      ScoreTile<kHeadDim>(lane_queries, stage + lane_keys, scores);
      if (key + T::kKeys - 1 > first || key <= last - sizes.reach) {
        MaskScores<kHeadDim>(first + lane / 4 - (key + lane % 4 * 2), sizes.reach, scores);
      }
      RaiseShifts<kHeadDim>(scores, scale, rows);
      MixTile<kHeadDim>(scores, scale, stage + lane_values, rows);
    }
    const uint32_t done = stage;
    stage = next_stage;
    next_stage = done;
  }
  if (first < sizes.window_length) {
    StoreRows<kHeadDim>(rows, warp_row, first, sizes, shared, out + query_head, stride);
  }
}

template <int kHeadDim>
cudaError_t Launch(cudaStream_t stream, const __nv_bfloat16* q, const __nv_bfloat16* k,
                   const __nv_bfloat16* v, const AttentionSizes& sizes, __nv_bfloat16* out) {
  using T = Tiling<kHeadDim>;
  if (const cudaError_t error = cudaFuncSetAttribute(
          AttendTile<kHeadDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kSharedBytes);
      error != cudaSuccess) {
    return error;
  }
  const AttentionGrid grid = MakeAttentionGrid(sizes, T::kQueries, sizeof(__nv_bfloat16));
  const auto scale = static_cast<float>(kLog2E / std::sqrt(static_cast<double>(sizes.head_dim)));
  AttendTile<kHeadDim><<<grid.tiles * grid.heads, kThreads, T::kSharedBytes, stream>>>(
      q, k, v, sizes, grid, scale, out);
  return cudaGetLastError();
}

}  // namespace
}  // namespace bf16_attention

cudaError_t LaunchCausalAttention(cudaStream_t stream, const __nv_bfloat16* q,
                                  const __nv_bfloat16* k, const __nv_bfloat16* v,
                                  const AttentionSizes& sizes, __nv_bfloat16* out) {
  if (sizes.head_dim % 8 != 0 || sizes.head_dim > kMaxHeadDim) return cudaErrorNotSupported;
  if (sizes.windows == 0) return cudaSuccess;
  const auto launch = sizes.head_dim <= 32    ? bf16_attention::Launch<32>
                      : sizes.head_dim <= 48  ? bf16_attention::Launch<48>
                      : sizes.head_dim <= 64  ? bf16_attention::Launch<64>
                      : sizes.head_dim <= 96  ? bf16_attention::Launch<96>
                      : sizes.head_dim <= 128 ? bf16_attention::Launch<128>
                      : sizes.head_dim <= 192 ? bf16_attention::Launch<192>
                                              : bf16_attention::Launch<256>;
  return launch(stream, q, k, v, sizes, out);
}

}  // namespace tern
