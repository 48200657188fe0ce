#include "worker/backend/cuda/cuda_status.h"

#include "absl/strings/str_cat.h"

namespace tern {

absl::Status CudaStatus(cudaError_t error, const char* operation) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuda: ", operation, ": ", cudaGetErrorString(error),
                                          " (", cudaGetErrorName(error), ")"));
}

absl::Status CudaStatus(cublasStatus_t status, const char* operation) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cublas: ", operation, ": ", cublasGetStatusString(status)));
}

absl::Status CudaStatus(cusolverStatus_t status, const char* operation) {
  if (status == CUSOLVER_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cusolver: ", operation, ": status ", static_cast<int>(status)));
}

absl::Status Launched(const char* operation) { return CudaStatus(cudaGetLastError(), operation); }

}  // namespace tern
