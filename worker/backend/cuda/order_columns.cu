#include <cmath>
#include <cstdint>
#include <cub/block/block_scan.cuh>
#include <cub/device/device_radix_sort.cuh>

#include "worker/backend/cuda/column_kernels.h"

namespace tern {
namespace {

constexpr int kThreads = 1024;

size_t Aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

// Where in the scratch memory what lies.
struct Scratch {
  explicit Scratch(int64_t m) {
    const size_t list = Aligned(m * sizeof(float));
    keys = 0;
    sorted_keys = list;
    columns = 2 * list;
    sorted_columns = 3 * list;
    taken = 4 * list;
    sort = taken + Aligned(m);
    cub::DeviceRadixSort::SortPairsDescending(
        nullptr, sort_bytes, static_cast<const float*>(nullptr), static_cast<float*>(nullptr),
        static_cast<const int32_t*>(nullptr), static_cast<int32_t*>(nullptr), static_cast<int>(m));
  }

  size_t keys, sorted_keys, columns, sorted_columns, taken, sort;
  size_t sort_bytes = 0;
};

// Keys whose order of bits is the order wanted: NaN counts as -∞, and -0 as 0.
__global__ void KeysKernel(const float* scores, int m, float* keys, int32_t* columns,
                           uint8_t* taken) {
  const int j = blockIdx.x * kThreads + threadIdx.x;
  if (j >= m) return;
  keys[j] = isnan(scores[j]) ? -INFINITY : scores[j] + 0.0f;
  columns[j] = j;
  taken[j] = 0;
}

__global__ void TakeKernel(const int32_t* sorted, int group, uint8_t* taken, int32_t* order) {
  for (int i = threadIdx.x; i < group; i += kThreads) {
    order[i] = sorted[i];
    taken[sorted[i]] = 1;
  }
}

// One block: the columns not taken, in rising order.
__global__ void RestKernel(const uint8_t* taken, int m, int32_t* rest) {
  using Scan = cub::BlockScan<int, kThreads>;
  __shared__ Scan::TempStorage storage;
  const int share = (m + kThreads - 1) / kThreads;
  const int first = min(m, static_cast<int>(threadIdx.x) * share);
  const int end = min(m, first + share);
  int count = 0;
  for (int j = first; j < end; ++j) count += taken[j] == 0 ? 1 : 0;
  int place = 0;
  Scan(storage).ExclusiveSum(count, place);
  for (int j = first; j < end; ++j) {
    if (taken[j] == 0) rest[place++] = j;
  }
}

}  // namespace

size_t OrderScratchBytes(int64_t m) {
  const Scratch scratch(m);
  return scratch.sort + scratch.sort_bytes;
}

cudaError_t LaunchOrderColumns(cudaStream_t stream, const float* scores, int64_t m, int64_t group,
                               void* scratch_memory, int32_t* order) {
  Scratch scratch(m);
  char* memory = static_cast<char*>(scratch_memory);
  auto* keys = reinterpret_cast<float*>(memory + scratch.keys);
  auto* sorted_keys = reinterpret_cast<float*>(memory + scratch.sorted_keys);
  auto* columns = reinterpret_cast<int32_t*>(memory + scratch.columns);
  auto* sorted_columns = reinterpret_cast<int32_t*>(memory + scratch.sorted_columns);
  auto* taken = reinterpret_cast<uint8_t*>(memory + scratch.taken);
  const int count = static_cast<int>(m);
  const int first = static_cast<int>(group < m ? group : m);

  KeysKernel<<<(count + kThreads - 1) / kThreads, kThreads, 0, stream>>>(scores, count, keys,
                                                                         columns, taken);
  // Stable, so equal scores stay in rising order of index.
  const cudaError_t sorted = cub::DeviceRadixSort::SortPairsDescending(
      memory + scratch.sort, scratch.sort_bytes, keys, sorted_keys, columns, sorted_columns, count,
      0, 32, stream);
  if (sorted != cudaSuccess) return sorted;
  TakeKernel<<<1, kThreads, 0, stream>>>(sorted_columns, first, taken, order);
  RestKernel<<<1, kThreads, 0, stream>>>(taken, count, order + first);
  return cudaGetLastError();
}

}  // namespace tern
