#ifndef TERN_WORKER_BACKEND_CUDA_DEVICE_CONTEXT_H_
#define TERN_WORKER_BACKEND_CUDA_DEVICE_CONTEXT_H_

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/tensor.h"

namespace tern {

// A CUDA device with the one stream that all of a backend's work goes through, in order, the
// handles of the libraries bound to it, and its memory.
class DeviceContext {
 public:
  // `memory_limit`: bytes that tensors may take, 0 for all the device has.
  static absl::StatusOr<std::unique_ptr<DeviceContext>> Open(int ordinal, int64_t memory_limit);
  ~DeviceContext();

  DeviceContext(const DeviceContext&) = delete;
  DeviceContext& operator=(const DeviceContext&) = delete;

  int ordinal() const { return ordinal_; }
  const std::string& model() const { return model_; }  // "NVIDIA H200"
  int64_t memory_bytes() const { return memory_bytes_; }
  // Each makes the device the calling thread's, which it must be for work on the stream: an
  // operation may be the first that its thread does. So may freeing a tensor.
  cudaStream_t stream() const { return Entered(stream_); }
  cublasHandle_t cublas() const { return Entered(cublas_); }
  cusolverDnHandle_t cusolver() const { return Entered(cusolver_); }

  // Uninitialised memory from the stream's pool: what the stream did with freed memory happens
  // before what it does with the memory given here. RESOURCE_EXHAUSTED says what was asked for and
  // what was free.
  absl::StatusOr<Tensor> Allocate(ElementType type, int64_t rows, int64_t cols);
  // The same for another stream of the device, which may use it at once; what is freed of it
  // belongs to this context's stream.
  absl::StatusOr<Tensor> AllocateFor(cudaStream_t stream, ElementType type, int64_t rows,
                                     int64_t cols);
  // Pinned memory of the host's, which the device can reach.
  absl::StatusOr<Tensor> AllocateOnHost(ElementType type, int64_t rows, int64_t cols);
  // Gives memory kept for later tensors back to the system.
  absl::Status ReleaseUnused();

  absl::Status Synchronize(const char* operation);

  // What tensors take, and the most they took at one time since ResetPeak, in bytes.
  int64_t used_bytes() const;
  int64_t peak_bytes() const;
  absl::Status ResetPeak();

 private:
  DeviceContext() = default;

  // A device that cannot be entered fails what is done with the handle.
  template <typename Handle>
  Handle Entered(Handle handle) const {
    cudaSetDevice(ordinal_);
    return handle;
  }

  int ordinal_ = 0;
  std::string model_;
  int64_t memory_bytes_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  void* cublas_workspace_ = nullptr;
  cusolverDnHandle_t cusolver_ = nullptr;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_DEVICE_CONTEXT_H_
