#ifndef TERN_WORKER_BACKEND_CUDA_ATTENTION_GRID_CUH_
#define TERN_WORKER_BACKEND_CUDA_ATTENTION_GRID_CUH_

#include <cstdint>
#include <limits>

#include "worker/backend/cuda/attention_kernels.h"

namespace tern {

// The score of a key the mask hides, and the greatest score before any key is seen: finite, so that
// the difference is no NaN.
inline constexpr float kHiddenScore = -std::numeric_limits<float>::infinity();
inline constexpr float kLowestScore = -1.7e38f;
inline constexpr double kLog2E = 1.4426950408889634;

// The order of blocks, one per query tile of a head of a window. Heads are taken in sections whose
// keys and values stay in the L2 cache; in a section the tiles with the most keys come first, so
// that the short ones fill the gaps at the end.
struct AttentionGrid {
  int tiles;    // of a window
  int heads;    // of all windows
  int section;  // heads
};

inline AttentionGrid MakeAttentionGrid(const AttentionSizes& sizes, int tile_rows,
                                       int64_t element_bytes) {
  constexpr int64_t kSectionBytes = 16 << 20;
  const int64_t group = sizes.heads / sizes.kv_heads;
  const int64_t group_bytes = 2 * element_bytes * sizes.window_length * sizes.head_dim;
  const int64_t groups = kSectionBytes / group_bytes;
  const int64_t heads = int64_t{sizes.windows} * sizes.heads;
  const int64_t section = group * (groups > 1 ? groups : 1);
  return {.tiles = (sizes.window_length + tile_rows - 1) / tile_rows,
          .heads = static_cast<int>(heads),
          .section = static_cast<int>(section < heads ? section : heads)};
}

struct QueryTile {
  int window;
  int head;
  int first;  // position in the window of the first query
};

__device__ inline QueryTile TileOfBlock(const AttentionGrid& grid, const AttentionSizes& sizes,
                                        int tile_rows) {
  const int block = static_cast<int>(blockIdx.x);
  const int first_head = block / (grid.section * grid.tiles) * grid.section;
  const int section = min(grid.section, grid.heads - first_head);
  const int rest = block - first_head * grid.tiles;
  const int head = first_head + rest % section;
  return {.window = head / sizes.heads,
          .head = head % sizes.heads,
          .first = (grid.tiles - 1 - rest / section) * tile_rows};
}

__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_ATTENTION_GRID_CUH_
