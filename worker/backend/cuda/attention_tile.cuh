#ifndef TERN_WORKER_BACKEND_CUDA_ATTENTION_TILE_CUH_
#define TERN_WORKER_BACKEND_CUDA_ATTENTION_TILE_CUH_

#include <cuda_bf16.h>

#include <cstdint>

#include "worker/backend/cuda/attention_grid.cuh"
#include "worker/backend/cuda/attention_kernels.h"
#include "worker/backend/cuda/attention_ptx.cuh"

// The bfloat16 kernel's work on one tile of keys and values.
//
// A tile lies in shared memory as panels of 32 columns; a row of a panel is 4 chunks of 16 bytes,
// chunk c at place c ^ (row / 2 % 4), so that the 8 rows ldmatrix reads at once lie in different
// banks.

namespace tern::bf16_attention {

inline constexpr int kThreads = 128;
inline constexpr int kWarps = kThreads / 32;
inline constexpr int kPanelColumns = 32;
inline constexpr int kPanelRowBytes = 64;
inline constexpr int kOddStep = 32;  // flips between the steps of 16 columns in a panel's row

// Above 128 columns the results of 32 queries no longer fit in a warp's registers. At most 96 KiB
// of shared memory, which GPUs of compute capability 8.6, 8.9 and 12.0 have too.
template <int kHeadDim>
struct Tiling {
  static constexpr int kRowBlocks = kHeadDim <= 128 ? 2 : 1;  // of 16 queries, a warp's
  static constexpr int kWarpRows = 16 * kRowBlocks;
  static constexpr int kQueries = kWarps * kWarpRows;
  static constexpr int kKeys = kHeadDim <= 128 ? 64 : 32;
  static constexpr int kPanels = (kHeadDim + kPanelColumns - 1) / kPanelColumns;
  static constexpr int kQueryBytes = kPanels * kQueries * kPanelRowBytes;
  static constexpr int kKeyBytes = kPanels * kKeys * kPanelRowBytes;
  static constexpr int kSharedBytes = kQueryBytes + 2 * (kKeyBytes + kKeyBytes);
};

// A lane's share of its warp's rows: of each block of 16, rows lane / 4 and lane / 4 + 8.
template <int kHeadDim>
struct WarpRows {
  using T = Tiling<kHeadDim>;
  float mixed[T::kRowBlocks][kHeadDim / 8][4];  // Σ weight · value
  float shift[T::kRowBlocks][2];                // weight = 2^(scale · (score - shift))
  float sum[T::kRowBlocks][2];                  // Σ weight, of the lane's own columns
};

template <int kHeadDim>
using Scores = float[Tiling<kHeadDim>::kRowBlocks][Tiling<kHeadDim>::kKeys / 8][4];

__device__ __forceinline__ int PlaceInPanel(int row, int chunk) {
  return row * kPanelRowBytes + ((chunk ^ (row / 2 % 4)) * 16);
}

// threadIdx.x, as something to read again rather than to keep what follows from it: registers are
// short.
__device__ __forceinline__ int ThreadIndex() {
  int x;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(x));
  return x;
}

// Starts copying rows [first, first + kRows) of a head; zeros where they pass the window's end or
// head_dim.
template <int kHeadDim, int kRows>
__device__ __forceinline__ void CopyTile(const __nv_bfloat16* head, int64_t stride, int first,
                                         const AttentionSizes& sizes, uint32_t to) {
  constexpr int kStep = kThreads / 4;
  const int thread = ThreadIndex();
  const int row = thread / 4, chunk = thread % 4;
  const __nv_bfloat16* from = head + (first + row) * stride + chunk * 8;
  const int rows_left = sizes.window_length - first - row,
            columns_left = sizes.head_dim - chunk * 8;
  to += PlaceInPanel(row, chunk);
#pragma unroll
  for (int i = 0; i < kRows; i += kStep) {
#pragma unroll
    for (int panel = 0; panel < Tiling<kHeadDim>::kPanels; ++panel) {
      const int column = panel * kPanelColumns;
      CopyAsync16(to + (panel * kRows + i) * kPanelRowBytes, from + i * stride + column,
                  i < rows_left && column < columns_left);
    }
  }
}

// scores = queries · keysᵀ. The addresses are those of the lane's row of the first matrices.
template <int kHeadDim>
__device__ __forceinline__ void ScoreTile(uint32_t queries, uint32_t keys,
                                          Scores<kHeadDim>& scores) {
  using T = Tiling<kHeadDim>;
#pragma unroll
  for (int m = 0; m < T::kRowBlocks; ++m) {
#pragma unroll
    for (int n = 0; n < T::kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[m][n][i] = 0;
    }
  }
#pragma unroll
  for (int step = 0; step < kHeadDim / 16; ++step) {
    const int panel = step / 2, odd = step % 2 * kOddStep;
    uint32_t a[T::kRowBlocks][4];
#pragma unroll
    for (int m = 0; m < T::kRowBlocks; ++m) {
      LoadMatrices((queries ^ odd) + (panel * T::kQueries + m * 16) * kPanelRowBytes, a[m]);
    }
#pragma unroll
    for (int n = 0; n < T::kKeys / 8; n += 2) {
      uint32_t b[4];
      LoadMatrices((keys ^ odd) + (panel * T::kKeys + n * 8) * kPanelRowBytes, b);
#pragma unroll
      for (int m = 0; m < T::kRowBlocks; ++m) {
        MultiplyAdd(a[m], b[0], b[1], scores[m][n]);
        MultiplyAdd(a[m], b[2], b[3], scores[m][n + 1]);
      }
    }
  }
}

// Scores of keys a query does not see become kHiddenScore. distance is the position of the lane's
// first query less that of its first key.
template <int kHeadDim>
__device__ __forceinline__ void MaskScores(int distance, int reach, Scores<kHeadDim>& scores) {
  using T = Tiling<kHeadDim>;
#pragma unroll
  for (int m = 0; m < T::kRowBlocks; ++m) {
#pragma unroll
    for (int n = 0; n < T::kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int query = m * 16 + i / 2 * 8, key = n * 8 + i % 2;
        const bool hidden = distance < key - query || distance - reach >= key - query;
        if (hidden) scores[m][n][i] = kHiddenScore;
      }
    }
  }
}

// Makes the shifts fit for these scores: those of all rows become the greatest scores so far, but
// only when one would otherwise let weights pass 2^8. What is in rows follows.
template <int kHeadDim>
__device__ __forceinline__ void RaiseShifts(const Scores<kHeadDim>& scores, float scale,
                                            WarpRows<kHeadDim>& rows) {
  using T = Tiling<kHeadDim>;
  constexpr unsigned kAllLanes = 0xffffffff;
  constexpr float kLargestExponent = 8;
  float max[T::kRowBlocks][2];
  bool raise = false;
#pragma unroll
  for (int m = 0; m < T::kRowBlocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float& top = max[m][half];
      top = rows.shift[m][half];
#pragma unroll
      for (int n = 0; n < T::kKeys / 8; ++n) {
        top = fmaxf(top, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
      }
      top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 1));
      top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 2));
      raise |= (top - rows.shift[m][half]) * scale > kLargestExponent;
    }
  }
  if (!__any_sync(kAllLanes, raise)) return;
#pragma unroll
  for (int m = 0; m < T::kRowBlocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float factor = Exp2((rows.shift[m][half] - max[m][half]) * scale);
      rows.shift[m][half] = max[m][half];
      rows.sum[m][half] *= factor;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n) {
        rows.mixed[m][n][2 * half] *= factor;
        rows.mixed[m][n][2 * half + 1] *= factor;
      }
    }
  }
}

// rows.mixed += weights · values, 16 keys at a time, whose weights are computed just before.
template <int kHeadDim>
__device__ __forceinline__ void MixTile(const Scores<kHeadDim>& scores, float scale,
                                        uint32_t values, WarpRows<kHeadDim>& rows) {
  using T = Tiling<kHeadDim>;
#pragma unroll
  for (int step = 0; step < T::kKeys / 16; ++step) {
    uint32_t a[T::kRowBlocks][4];
#pragma unroll
    for (int m = 0; m < T::kRowBlocks; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&pair)[4] = scores[m][2 * step + i / 2];
        const int half = i % 2;
        const float shift = rows.shift[m][half] * scale;
        const float low = Exp2(fmaf(pair[2 * half], scale, -shift));
        const float high = Exp2(fmaf(pair[2 * half + 1], scale, -shift));
        rows.sum[m][half] += low + high;
        a[m][i] = PackBf16(low, high);
      }
    }
#pragma unroll
    for (int n = 0; n < kHeadDim / 8; n += 2) {
      const int panel = n / 4, odd = n / 2 % 2 * kOddStep;
      uint32_t b[4];
      LoadTransposed((values ^ odd) + (panel * T::kKeys + step * 16) * kPanelRowBytes, b);
#pragma unroll
      for (int m = 0; m < T::kRowBlocks; ++m) {
        MultiplyAdd(a[m], b[0], b[1], rows.mixed[m][n]);
        MultiplyAdd(a[m], b[2], b[3], rows.mixed[m][n + 1]);
      }
    }
  }
}

}  // namespace tern::bf16_attention

#endif  // TERN_WORKER_BACKEND_CUDA_ATTENTION_TILE_CUH_
