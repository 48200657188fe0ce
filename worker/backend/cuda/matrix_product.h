#ifndef TERN_WORKER_BACKEND_CUDA_MATRIX_PRODUCT_H_
#define TERN_WORKER_BACKEND_CUDA_MATRIX_PRODUCT_H_

#include <cublas_v2.h>

#include <cstdint>

#include "absl/status/status.h"
#include "worker/backend/tensor.h"

namespace tern {

// A row-major matrix, or part of one, in device memory.
struct DeviceMatrix {
  DeviceMatrix(const Tensor& tensor)  // NOLINT(google-explicit-constructor): it is one
      : data(tensor.data<void>()),
        type(tensor.type()),
        rows(tensor.rows()),
        cols(tensor.cols()),
        stride(tensor.cols()) {}

  // Rows and columns from (row, column) on.
  DeviceMatrix Block(int64_t row, int64_t column, int64_t row_count, int64_t column_count) const {
    DeviceMatrix block = *this;
    block.data = static_cast<char*>(data) + (row * stride + column) * SizeOf(type);
    block.rows = row_count;
    block.cols = column_count;
    return block;
  }

  DeviceMatrix Transposed() const {
    DeviceMatrix view = *this;
    view.transposed = !transposed;
    return view;
  }

  int64_t view_rows() const { return transposed ? cols : rows; }
  int64_t view_cols() const { return transposed ? rows : cols; }
  DeviceMatrix ViewRows(int64_t first, int64_t count) const {
    return transposed ? Block(0, first, rows, count) : Block(first, 0, count, cols);
  }
  DeviceMatrix ViewCols(int64_t first, int64_t count) const {
    return transposed ? Block(first, 0, count, cols) : Block(0, first, rows, count);
  }

  void* data;
  ElementType type;
  int64_t rows, cols;  // as stored
  int64_t stride;      // elements from row to row
  bool transposed = false;
};

enum class Arithmetic {
  kExact,  // as wide as the inputs; sums are float32
  kTf32    // float32 inputs rounded to 10 bits of mantissa, on the matrix units
};

// c = alpha·a·b + beta·c. a and b are of one type, float32, bf16 or fp16; c is float32 or of their
// type. `operation` is named in errors.
absl::Status Multiply(cublasHandle_t cublas, const DeviceMatrix& a, const DeviceMatrix& b,
                      float alpha, float beta, const DeviceMatrix& c, const char* operation,
                      Arithmetic arithmetic = Arithmetic::kExact);

// Matrices of one shape: the first, and elements from one to the next (0: the same every time).
struct DeviceMatrices {
  DeviceMatrix first;
  int64_t stride;
};

// c_i = a_i·b_i + beta·c_i, i < count, of types as above.
absl::Status MultiplyBatched(cublasHandle_t cublas, const DeviceMatrices& a,
                             const DeviceMatrices& b, float beta, const DeviceMatrices& c,
                             int64_t count, const char* operation,
                             Arithmetic arithmetic = Arithmetic::kExact);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_MATRIX_PRODUCT_H_
