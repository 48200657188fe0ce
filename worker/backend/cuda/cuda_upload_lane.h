#ifndef TERN_WORKER_BACKEND_CUDA_CUDA_UPLOAD_LANE_H_
#define TERN_WORKER_BACKEND_CUDA_CUDA_UPLOAD_LANE_H_

#include <array>
#include <cstdint>
#include <vector>

#include "worker/backend/backend.h"
#include "worker/backend/cuda/device_context.h"

namespace tern {

// A stream of its own, fed through two pinned buffers in turn: while one is on its way to the
// device the other is filled.
class CudaUploadLane final : public UploadLane {
 public:
  explicit CudaUploadLane(DeviceContext& device) : device_(device) {}
  ~CudaUploadLane() override;

  absl::StatusOr<Tensor> Upload(const void* host, ElementType type, int64_t rows,
                                int64_t cols) override;
  absl::Status Finish() override;

 private:
  struct Buffer {
    void* memory = nullptr;
    cudaEvent_t read = nullptr;  // recorded behind the copy from it
  };

  absl::Status Open();

  DeviceContext& device_;
  cudaStream_t stream_ = nullptr;  // nullptr: not open yet
  std::array<Buffer, 2> buffers_;
  int next_ = 0;
  std::vector<Tensor> unfinished_;  // kept while the stream may write to them
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_CUDA_UPLOAD_LANE_H_
