#include "worker/backend/cuda/cuda_backend.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/block_memory.h"
#include "checkpoint/status_macros.h"
#include "worker/backend/cuda/cuda_activation_ops.h"
#include "worker/backend/cuda/cuda_rotation_ops.h"
#include "worker/backend/cuda/cuda_status.h"
#include "worker/backend/cuda/cuda_ternary_ops.h"
#include "worker/backend/cuda/cuda_transformer_ops.h"
#include "worker/backend/cuda/cuda_upload_lane.h"
#include "worker/backend/cuda/device_context.h"
#include "worker/backend/cuda/factor_kernels.h"
#include "worker/backend/cuda/matrix_product.h"
#include "worker/backend/cuda/transformer_kernels.h"

namespace tern {
namespace {

// A symmetric product is computed in row panels of this height, each up to the diagonal: for 4096
// columns 9/16 of the whole.
constexpr int64_t kGramPanel = 512;

class CudaBackend : public Backend {
 public:
  CudaBackend(std::unique_ptr<DeviceContext> device, ElementType activation_type)
      : device_(std::move(device)),
        activation_type_(activation_type),
        transformer_(*device_),
        activations_(*device_),
        ternary_(*device_, MeasuringArithmetic(activation_type)),
        rotation_(*device_, MeasuringArithmetic(activation_type)),
        upload_lane_(*device_) {}

  std::string name() const override {
    return absl::StrCat(device_->model(), " (",
                        activation_type_ == ElementType::kBF16 ? "bf16" : "float32", ")");
  }
  std::optional<DeviceMemory> memory() const override {
    return DeviceMemory{.total = device_->memory_bytes(),
                        .used = device_->used_bytes(),
                        .peak = device_->peak_bytes()};
  }
  absl::Status ResetPeakMemory() override { return device_->ResetPeak(); }
  ElementType activation_type() const override { return activation_type_; }
  int64_t batch_tokens() const override { return kCudaLayout.batch_tokens; }

  absl::StatusOr<Mark> Now() override {
    cudaEvent_t event = nullptr;
    TERN_RETURN_IF_ERROR(CudaStatus(cudaEventCreate(&event), "create event"));
    auto mark = std::shared_ptr<CUevent_st>(event, [](cudaEvent_t old) { cudaEventDestroy(old); });
    TERN_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(event, device_->stream()), "record event"));
    return Mark(std::move(mark));
  }

  absl::StatusOr<double> Seconds(const Mark& from, const Mark& to) override {
    const auto event = [](const Mark& mark) {
      return static_cast<cudaEvent_t>(const_cast<void*>(mark.get()));
    };
    TERN_RETURN_IF_ERROR(CudaStatus(cudaEventSynchronize(event(to)), "wait for event"));
    float milliseconds = 0;
    TERN_RETURN_IF_ERROR(
        CudaStatus(cudaEventElapsedTime(&milliseconds, event(from), event(to)), "time"));
    return milliseconds / 1e3;
  }

  absl::StatusOr<Tensor> Allocate(ElementType type, int64_t rows, int64_t cols) override {
    return device_->Allocate(type, rows, cols);
  }

  absl::StatusOr<Tensor> AllocateOnHost(ElementType type, int64_t rows, int64_t cols) override {
    return device_->AllocateOnHost(type, rows, cols);
  }

  absl::Status ReleaseUnused() override { return device_->ReleaseUnused(); }

  // Faults of kernels stay with the context: every later call returns them.
  absl::Status Health() override { return device_->Synchronize("health"); }

  UploadLane* upload_lane() override { return &upload_lane_; }

  // Returns once the host's memory has been read.
  absl::Status Upload(const void* host, const Tensor& tensor) override {
    return CudaStatus(cudaMemcpyAsync(tensor.data<void>(), host, tensor.bytes(),
                                      cudaMemcpyHostToDevice, device_->stream()),
                      "upload");
  }

  absl::Status Download(const Tensor& tensor, void* host) override {
    TERN_RETURN_IF_ERROR(CudaStatus(cudaMemcpyAsync(host, tensor.data<void>(), tensor.bytes(),
                                                    cudaMemcpyDeviceToHost, device_->stream()),
                                    "download"));
    return device_->Synchronize("download");
  }

  absl::Status Copy(const Tensor& from, const Tensor& to) override {
    assert(from.bytes() == to.bytes());
    return CudaStatus(cudaMemcpyAsync(to.data<void>(), from.data<void>(), from.bytes(),
                                      cudaMemcpyDefault, device_->stream()),
                      "copy");
  }

  absl::Status Zero(const Tensor& tensor) override {
    return CudaStatus(cudaMemsetAsync(tensor.data<void>(), 0, tensor.bytes(), device_->stream()),
                      "zero");
  }

  absl::Status Convert(const Tensor& from, const Tensor& to) override {
    assert(from.elements() == to.elements());
    LaunchConvert(device_->stream(), from, to);
    return Launched("convert");
  }

  absl::Status Linear(const Tensor& x, const Tensor& w, const Tensor& bias, bool accumulate,
                      const Tensor& y) override {
    assert(x.cols() == w.cols() && y.rows() == x.rows() && y.cols() == w.rows());
    TERN_RETURN_IF_ERROR(Multiply(device_->cublas(), x, DeviceMatrix(w).Transposed(), 1,
                                  accumulate ? 1 : 0, y, "linear"));
    if (bias.empty()) return absl::OkStatus();
    LaunchAddBias(device_->stream(), bias.data<float>(), y);
    return Launched("bias");
  }

  absl::Status AccumulateGram(const Tensor& x, const Tensor& h) override {
    const int64_t m = x.cols();
    assert(h.rows() == m && h.cols() == m);
    for (int64_t row = 0; row < m; row += kGramPanel) {
      const int64_t rows = std::min(kGramPanel, m - row);
      const int64_t cols = row + rows;
      const DeviceMatrix inputs(x);
      TERN_RETURN_IF_ERROR(Multiply(device_->cublas(),
                                    inputs.Block(0, row, x.rows(), rows).Transposed(),
                                    inputs.Block(0, 0, x.rows(), cols), 1, 1,
                                    DeviceMatrix(h).Block(row, 0, rows, cols), "second moment"));
    }
    return absl::OkStatus();
  }

  absl::Status AccumulateCross(const Tensor& x_fp, const Tensor& x, const Tensor& g) override {
    assert(x_fp.rows() == x.rows() && g.rows() == x_fp.cols() && g.cols() == x.cols());
    return Multiply(device_->cublas(), DeviceMatrix(x_fp).Transposed(), x, 1, 1, g, "cross moment");
  }

  absl::Status FinishMoment(const Tensor& moment, double scale, bool symmetric) override {
    LaunchScale(device_->stream(), static_cast<float>(scale), moment.elements(),
                moment.data<float>());
    if (symmetric)
      LaunchMirrorLower(device_->stream(), moment.data<float>(), moment.rows(), moment.rows());
    return Launched("finish moment");
  }

  TransformerOps& transformer() override { return transformer_; }
  ActivationOps& activations() override { return activations_; }
  TernaryOps& ternary() override { return ternary_; }
  RotationOps& rotation() override { return rotation_; }

 private:
  // Millions of terms: beside bf16 inputs the rounding of their factors does not show.
  static Arithmetic MeasuringArithmetic(ElementType activation_type) {
    return activation_type == ElementType::kBF16 ? Arithmetic::kTf32 : Arithmetic::kExact;
  }

  const std::unique_ptr<DeviceContext> device_;
  const ElementType activation_type_;
  CudaTransformerOps transformer_;
  CudaActivationOps activations_;
  CudaTernaryOps ternary_;
  CudaRotationOps rotation_;
  CudaUploadLane upload_lane_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options) {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<DeviceContext> device,
                        DeviceContext::Open(options.ordinal, options.memory_limit));
  return std::make_unique<CudaBackend>(std::move(device), options.activation_type);
}

}  // namespace tern
