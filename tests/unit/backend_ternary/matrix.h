#ifndef TERN_TESTS_UNIT_BACKEND_TERNARY_MATRIX_H_
#define TERN_TESTS_UNIT_BACKEND_TERNARY_MATRIX_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tests/test_backend.h"
#include "worker/backend/backend.h"

namespace tern {

// A plain float64 matrix: what oracles compute with, and how tests look at tensors.
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols, double value = 0)
      : rows_(rows), cols_(cols), values_(rows * cols, value) {}
  Matrix(int64_t rows, int64_t cols, std::vector<double> values)
      : rows_(rows), cols_(cols), values_(std::move(values)) {}

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  double& operator()(int64_t r, int64_t c) { return values_[r * cols_ + c]; }
  double operator()(int64_t r, int64_t c) const { return values_[r * cols_ + c]; }
  std::vector<double>& values() { return values_; }
  const std::vector<double>& values() const { return values_; }

  bool operator==(const Matrix&) const = default;

 private:
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::vector<double> values_;
};

Matrix operator+(Matrix a, const Matrix& b);
Matrix operator-(Matrix a, const Matrix& b);
Matrix operator*(double factor, Matrix a);
Matrix operator*(const Matrix& a, const Matrix& b);

Matrix Identity(int64_t n);
Matrix Transposed(const Matrix& a);
Matrix Inverse(const Matrix& a);      // Gauss and Jordan, partial pivoting
Matrix UpperFactor(const Matrix& a);  // U, UᵀU = a
Matrix Submatrix(const Matrix& a, std::span<const int32_t> rows, std::span<const int32_t> cols);
Matrix Rows(const Matrix& a, int64_t first, int64_t count);
Matrix Columns(const Matrix& a, int64_t first, int64_t count);
Matrix Columns(const Matrix& a, std::span<const int32_t> columns);

double Trace(const Matrix& a);
double Norm(const Matrix& a);
double RelativeError(const Matrix& a, const Matrix& b);      // ‖a - b‖ / ‖b‖
double LargestDifference(const Matrix& a, const Matrix& b);  // max|a - b| / max|b|

// 0, 1, 2, …
std::vector<int32_t> Range(int64_t count);

// Normally distributed float32 values.
Matrix RandomMatrix(int64_t rows, int64_t cols, uint32_t seed);

// XᵀX/N of correlated inputs whose channels differ in scale, as a transformer's do; symmetric, in
// float32 values.
Matrix RandomHessian(int64_t m, uint32_t seed);

// A cross moment that a stream slightly different from the Hessian's would have.
Matrix RandomCross(const Matrix& hessian, uint32_t seed);

// Tensors, and back. Values are rounded to the tensor's type.
Tensor NewTensor(Backend& backend, int64_t rows, int64_t cols);
Tensor Upload(Backend& backend, const Matrix& matrix);
Tensor UploadTrits(Backend& backend, const Matrix& matrix);
Tensor UploadColumns(Backend& backend, std::span<const int32_t> columns);
Tensor ZeroCounts(Backend& backend, int64_t count);
Matrix Download(Backend& backend, const Tensor& tensor);
std::vector<int32_t> DownloadIntegers(Backend& backend, const Tensor& tensor);

}  // namespace tern

#endif  // TERN_TESTS_UNIT_BACKEND_TERNARY_MATRIX_H_
