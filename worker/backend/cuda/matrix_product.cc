#include "worker/backend/cuda/matrix_product.h"

#include <cassert>

#include "worker/backend/cuda/cuda_status.h"

namespace tern {
namespace {

cudaDataType_t DataType(ElementType type) {
  return type == ElementType::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
}

cublasOperation_t Operation(const DeviceMatrix& matrix) {
  return matrix.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
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
      cublasGemmEx(
          cublas, Operation(b), Operation(a), static_cast<int>(n), static_cast<int>(m),
          static_cast<int>(k), &alpha, b.data, DataType(b.type), static_cast<int>(b.stride), a.data,
          DataType(a.type), static_cast<int>(a.stride), &beta, c.data, DataType(c.type),
          static_cast<int>(c.stride),
          arithmetic == Arithmetic::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
          CUBLAS_GEMM_DEFAULT),
      operation);
}

}  // namespace tern
