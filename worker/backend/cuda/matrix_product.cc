#include "worker/backend/cuda/matrix_product.h"

#include <cassert>

#include "worker/backend/cuda/cuda_status.h"

namespace tern {
namespace {

cudaDataType_t DataType(ElementType type) {
  switch (type) {
    case ElementType::kBF16:
      return CUDA_R_16BF;
    case ElementType::kF16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

cublasOperation_t Operation(const DeviceMatrix& matrix) {
  return matrix.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
}

cublasComputeType_t ComputeType(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

}  // namespace

absl::Status Multiply(cublasHandle_t cublas, const DeviceMatrix& a, const DeviceMatrix& b,
                      float alpha, float beta, const DeviceMatrix& c, const char* operation,
                      Arithmetic arithmetic) {
  const int64_t m = a.view_rows();
  const int64_t k = a.view_cols();
  const int64_t n = b.view_cols();
  assert(b.view_rows() == k && c.rows == m && c.cols == n && !c.transposed && a.type == b.type);
  if (m == 0 || n == 0) return absl::OkStatus();
  // cuBLAS counts by columns: a row-major c = a·b is cᵀ = bᵀ·aᵀ to it.
  return CudaStatus(
      cublasGemmEx(cublas, Operation(b), Operation(a), static_cast<int>(n), static_cast<int>(m),
                   static_cast<int>(k), &alpha, b.data, DataType(b.type),
                   static_cast<int>(b.stride), a.data, DataType(a.type), static_cast<int>(a.stride),
                   &beta, c.data, DataType(c.type), static_cast<int>(c.stride),
                   ComputeType(arithmetic), CUBLAS_GEMM_DEFAULT),
      operation);
}

absl::Status MultiplyBatched(cublasHandle_t cublas, const DeviceMatrices& a,
                             const DeviceMatrices& b, float beta, const DeviceMatrices& c,
                             int64_t count, const char* operation, Arithmetic arithmetic) {
  const int64_t m = a.first.view_rows();
  const int64_t k = a.first.view_cols();
  const int64_t n = b.first.view_cols();
  assert(b.first.view_rows() == k && c.first.rows == m && c.first.cols == n);
  assert(a.first.type == b.first.type && !c.first.transposed);
  const float alpha = 1;
  return CudaStatus(
      cublasGemmStridedBatchedEx(
          cublas, Operation(b.first), Operation(a.first), static_cast<int>(n), static_cast<int>(m),
          static_cast<int>(k), &alpha, b.first.data, DataType(b.first.type),
          static_cast<int>(b.first.stride), b.stride, a.first.data, DataType(a.first.type),
          static_cast<int>(a.first.stride), a.stride, &beta, c.first.data, DataType(c.first.type),
          static_cast<int>(c.first.stride), c.stride, static_cast<int>(count),
          ComputeType(arithmetic), CUBLAS_GEMM_DEFAULT),
      operation);
}

}  // namespace tern
