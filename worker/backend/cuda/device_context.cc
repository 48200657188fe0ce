#include "worker/backend/cuda/device_context.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_status.h"

namespace tern {
namespace {

// Given to cuBLAS once, so that which algorithm it picks, and so the bits of a product, does not
// depend on what else holds memory. 32 MiB is what its documentation recommends for Hopper.
constexpr size_t kCublasWorkspaceBytes = size_t{32} << 20;

// Kernels are built for this compute capability and later.
constexpr int kLeastMajor = 8;

absl::Status CheckOrdinal(int ordinal) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device \"cuda:", ordinal, "\": no CUDA device can be used: ", cudaGetErrorString(error)));
  }
  if (ordinal >= 0 && ordinal < count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("device \"cuda:", ordinal, "\": this machine has ", count, " CUDA device(s)"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceContext>> DeviceContext::Open(int ordinal,
                                                                   int64_t memory_limit) {
  TERN_RETURN_IF_ERROR(CheckOrdinal(ordinal));
  std::unique_ptr<DeviceContext> context(new DeviceContext);
  context->ordinal_ = ordinal;
  cudaDeviceProp properties;
  TERN_RETURN_IF_ERROR(CudaStatus(cudaGetDeviceProperties(&properties, ordinal), "properties"));
  context->model_ = properties.name;
  if (properties.major < kLeastMajor) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device \"cuda:", ordinal, "\" (", properties.name, ") has compute capability ",
        properties.major, ".", properties.minor, "; ", kLeastMajor, ".0 is the least supported"));
  }
  TERN_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(ordinal), "set device"));
  TERN_RETURN_IF_ERROR(CudaStatus(
      cudaStreamCreateWithFlags(&context->stream_, cudaStreamNonBlocking), "create stream"));

  const auto total = static_cast<int64_t>(properties.totalGlobalMem);
  context->memory_bytes_ = memory_limit == 0 ? total : std::min(memory_limit, total);
  cudaMemPoolProps pool = {};
  pool.allocType = cudaMemAllocationTypePinned;
  pool.location = {cudaMemLocationTypeDevice, ordinal};
  if (memory_limit != 0) pool.maxSize = static_cast<size_t>(context->memory_bytes_);
  TERN_RETURN_IF_ERROR(CudaStatus(cudaMemPoolCreate(&context->pool_, &pool), "create memory pool"));
  uint64_t keep = UINT64_MAX;  // freed memory stays for the next tensor
  TERN_RETURN_IF_ERROR(
      CudaStatus(cudaMemPoolSetAttribute(context->pool_, cudaMemPoolAttrReleaseThreshold, &keep),
                 "memory pool"));
  // Another stream is not made to wait for this one because of memory.
  int no = 0;
  TERN_RETURN_IF_ERROR(CudaStatus(
      cudaMemPoolSetAttribute(context->pool_, cudaMemPoolReuseAllowInternalDependencies, &no),
      "memory pool"));

  TERN_RETURN_IF_ERROR(CudaStatus(cublasCreate(&context->cublas_), "create"));
  TERN_RETURN_IF_ERROR(CudaStatus(cublasSetStream(context->cublas_, context->stream_), "stream"));
  TERN_RETURN_IF_ERROR(CudaStatus(cudaMalloc(&context->cublas_workspace_, kCublasWorkspaceBytes),
                                  "cublas workspace"));
  TERN_RETURN_IF_ERROR(CudaStatus(
      cublasSetWorkspace(context->cublas_, context->cublas_workspace_, kCublasWorkspaceBytes),
      "workspace"));
  TERN_RETURN_IF_ERROR(CudaStatus(cusolverDnCreate(&context->cusolver_), "create"));
  TERN_RETURN_IF_ERROR(
      CudaStatus(cusolverDnSetStream(context->cusolver_, context->stream_), "stream"));
  return context;
}

DeviceContext::~DeviceContext() {
  cudaSetDevice(ordinal_);
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  if (cusolver_ != nullptr) cusolverDnDestroy(cusolver_);
  if (cublas_ != nullptr) cublasDestroy(cublas_);
  if (cublas_workspace_ != nullptr) cudaFree(cublas_workspace_);
  if (pool_ != nullptr) cudaMemPoolDestroy(pool_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

absl::StatusOr<Tensor> DeviceContext::Allocate(ElementType type, int64_t rows, int64_t cols) {
  return AllocateFor(stream_, type, rows, cols);
}

absl::StatusOr<Tensor> DeviceContext::AllocateFor(cudaStream_t stream, ElementType type,
                                                  int64_t rows, int64_t cols) {
  assert(rows >= 0 && cols >= 0);
  TERN_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(ordinal_), "set device"));
  const int64_t bytes = std::max<int64_t>(1, rows * cols * SizeOf(type));
  void* memory = nullptr;
  cudaError_t error = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream);
  if (error == cudaErrorMemoryAllocation) {
    // What the stream still holds may fit it once done.
    cudaGetLastError();
    TERN_RETURN_IF_ERROR(Synchronize("allocate"));
    TERN_RETURN_IF_ERROR(CudaStatus(cudaMemPoolTrimTo(pool_, 0), "allocate"));
    error = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream);
  }
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    const int64_t left = std::max<int64_t>(0, memory_bytes_ - used_bytes());
    return absl::ResourceExhaustedError(absl::StrCat(
        "cuda:", ordinal_, ": out of memory: asked for ", bytes, " bytes, ",
        std::min<int64_t>(left, static_cast<int64_t>(free_bytes)), " are free of ", memory_bytes_));
  }
  TERN_RETURN_IF_ERROR(CudaStatus(error, "allocate"));
  const auto free = [ordinal = ordinal_, stream = stream_](void* freed) {
    cudaSetDevice(ordinal);
    cudaFreeAsync(freed, stream);
  };
  return Tensor(type, rows, cols, std::shared_ptr<void>(memory, free));
}

absl::StatusOr<Tensor> DeviceContext::AllocateOnHost(ElementType type, int64_t rows, int64_t cols) {
  TERN_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(ordinal_), "set device"));
  const int64_t bytes = std::max<int64_t>(1, rows * cols * SizeOf(type));
  void* memory = nullptr;
  const cudaError_t error = cudaMallocHost(&memory, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return absl::ResourceExhaustedError(absl::StrCat(
        "cuda:", ordinal_, ": ", bytes, " bytes of the host's memory cannot be pinned"));
  }
  TERN_RETURN_IF_ERROR(CudaStatus(error, "allocate on host"));
  // Freed once the stream no longer needs it.
  const auto free = [ordinal = ordinal_, stream = stream_](void* freed) {
    cudaSetDevice(ordinal);
    cudaStreamSynchronize(stream);
    cudaFreeHost(freed);
  };
  return Tensor(type, rows, cols, std::shared_ptr<void>(memory, free));
}

absl::Status DeviceContext::ReleaseUnused() {
  TERN_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(ordinal_), "set device"));
  TERN_RETURN_IF_ERROR(Synchronize("release memory"));
  return CudaStatus(cudaMemPoolTrimTo(pool_, 0), "release memory");
}

absl::Status DeviceContext::Synchronize(const char* operation) {
  return CudaStatus(cudaStreamSynchronize(stream()), operation);
}

int64_t DeviceContext::used_bytes() const {
  uint64_t used = 0;
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used);
  return static_cast<int64_t>(used);
}

int64_t DeviceContext::peak_bytes() const {
  uint64_t peak = 0;
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &peak);
  return static_cast<int64_t>(peak);
}

absl::Status DeviceContext::ResetPeak() {
  uint64_t zero = 0;  // means the present use
  return CudaStatus(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &zero),
                    "memory pool");
}

}  // namespace tern
