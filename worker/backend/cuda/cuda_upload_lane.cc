#include "worker/backend/cuda/cuda_upload_lane.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_status.h"

namespace tern {
namespace {

constexpr int64_t kBufferBytes = int64_t{32} << 20;

}  // namespace

CudaUploadLane::~CudaUploadLane() {
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  for (const Buffer& buffer : buffers_) {
    if (buffer.memory != nullptr) cudaFreeHost(buffer.memory);
    if (buffer.read != nullptr) cudaEventDestroy(buffer.read);
  }
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

absl::Status CudaUploadLane::Open() {
  if (stream_ != nullptr) return absl::OkStatus();
  TERN_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device_.ordinal()), "set device"));
  for (Buffer& buffer : buffers_) {
    if (buffer.memory == nullptr) {
      TERN_RETURN_IF_ERROR(CudaStatus(cudaMallocHost(&buffer.memory, kBufferBytes), "pin memory"));
    }
    if (buffer.read == nullptr) {
      TERN_RETURN_IF_ERROR(CudaStatus(
          cudaEventCreateWithFlags(&buffer.read, cudaEventDisableTiming), "create event"));
    }
  }
  return CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create stream");
}

absl::StatusOr<Tensor> CudaUploadLane::Upload(const void* host, ElementType type, int64_t rows,
                                              int64_t cols) {
  TERN_RETURN_IF_ERROR(Open());
  TERN_ASSIGN_OR_RETURN(Tensor tensor, device_.AllocateFor(stream_, type, rows, cols));
  unfinished_.push_back(tensor);
  for (int64_t begin = 0; begin < tensor.bytes(); begin += kBufferBytes) {
    const auto count = static_cast<size_t>(std::min(kBufferBytes, tensor.bytes() - begin));
    const Buffer& buffer = buffers_[next_];
    next_ = 1 - next_;
    TERN_RETURN_IF_ERROR(CudaStatus(cudaEventSynchronize(buffer.read), "upload ahead"));
    std::memcpy(buffer.memory, static_cast<const std::byte*>(host) + begin, count);
    TERN_RETURN_IF_ERROR(CudaStatus(cudaMemcpyAsync(tensor.data<std::byte>() + begin, buffer.memory,
                                                    count, cudaMemcpyHostToDevice, stream_),
                                    "upload ahead"));
    TERN_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(buffer.read, stream_), "upload ahead"));
  }
  return tensor;
}

absl::Status CudaUploadLane::Finish() {
  if (stream_ == nullptr) return absl::OkStatus();
  const cudaError_t finished = cudaStreamSynchronize(stream_);
  unfinished_.clear();
  return CudaStatus(finished, "upload ahead");
}

}  // namespace tern
