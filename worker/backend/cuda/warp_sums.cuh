#ifndef TERN_WORKER_BACKEND_CUDA_WARP_SUMS_CUH_
#define TERN_WORKER_BACKEND_CUDA_WARP_SUMS_CUH_

namespace tern {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// Sums in an order that is fixed, whose result is the same to the bit in every thread: in each
// step of the butterfly partners add the same two numbers.
template <typename T>
__device__ T WarpSum(T value) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, mask);
  }
  return value;
}

template <typename T>
__device__ T WarpMax(T value) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, value, mask);
    value = other > value ? other : value;
  }
  return value;
}

// Over a block of kThreads, all of which call it; kThreads is a multiple of 32. May be called again
// at once.
template <int kThreads, typename T>
__device__ T BlockSum(T value) {
  value = WarpSum(value);
  if constexpr (kThreads > kWarp) {
    __shared__ T of_warp[kThreads / kWarp];
    __syncthreads();
    if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = of_warp[0];
#pragma unroll
    for (int warp = 1; warp < kThreads / kWarp; ++warp) value += of_warp[warp];
  }
  return value;
}

template <int kThreads, typename T>
__device__ T BlockMax(T value) {
  value = WarpMax(value);
  if constexpr (kThreads > kWarp) {
    __shared__ T of_warp[kThreads / kWarp];
    __syncthreads();
    if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = of_warp[0];
#pragma unroll
    for (int warp = 1; warp < kThreads / kWarp; ++warp) {
      value = of_warp[warp] > value ? of_warp[warp] : value;
    }
  }
  return value;
}

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_WARP_SUMS_CUH_
