#include "tests/unit/backend_ternary/matrix.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "gtest/gtest.h"

namespace tern {

Matrix operator+(Matrix a, const Matrix& b) {
  assert(a.rows() == b.rows() && a.cols() == b.cols());
  for (size_t i = 0; i < a.values().size(); ++i) a.values()[i] += b.values()[i];
  return a;
}

Matrix operator-(Matrix a, const Matrix& b) {
  assert(a.rows() == b.rows() && a.cols() == b.cols());
  for (size_t i = 0; i < a.values().size(); ++i) a.values()[i] -= b.values()[i];
  return a;
}

Matrix operator*(double factor, Matrix a) {
  for (double& value : a.values()) value *= factor;
  return a;
}

Matrix operator*(const Matrix& a, const Matrix& b) {
  assert(a.cols() == b.rows());
  Matrix product(a.rows(), b.cols());
  for (int64_t i = 0; i < a.rows(); ++i) {
    for (int64_t k = 0; k < a.cols(); ++k) {
      for (int64_t j = 0; j < b.cols(); ++j) product(i, j) += a(i, k) * b(k, j);
    }
  }
  return product;
}

Matrix Identity(int64_t n) {
  Matrix identity(n, n);
  for (int64_t i = 0; i < n; ++i) identity(i, i) = 1;
  return identity;
}

Matrix Transposed(const Matrix& a) {
  Matrix transposed(a.cols(), a.rows());
  for (int64_t i = 0; i < a.rows(); ++i) {
    for (int64_t j = 0; j < a.cols(); ++j) transposed(j, i) = a(i, j);
  }
  return transposed;
}

Matrix Inverse(const Matrix& a) {
  const int64_t n = a.rows();
  Matrix left = a;
  Matrix right = Identity(n);
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(left(i, k)) > std::abs(left(pivot, k))) pivot = i;
    }
    for (int64_t j = 0; j < n; ++j) {
      std::swap(left(k, j), left(pivot, j));
      std::swap(right(k, j), right(pivot, j));
    }
    const double scale = 1 / left(k, k);
    for (int64_t j = 0; j < n; ++j) {
      left(k, j) *= scale;
      right(k, j) *= scale;
    }
    for (int64_t i = 0; i < n; ++i) {
      const double factor = left(i, k);
      if (i == k || factor == 0) continue;
      for (int64_t j = 0; j < n; ++j) {
        left(i, j) -= factor * left(k, j);
        right(i, j) -= factor * right(k, j);
      }
    }
  }
  return right;
}

Matrix UpperFactor(const Matrix& a) {
  const int64_t n = a.rows();
  Matrix u(n, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i; j < n; ++j) {
      double value = a(i, j);
      for (int64_t k = 0; k < i; ++k) value -= u(k, i) * u(k, j);
      u(i, j) = i == j ? std::sqrt(value) : value / u(i, i);
    }
  }
  return u;
}

Matrix Submatrix(const Matrix& a, std::span<const int32_t> rows, std::span<const int32_t> cols) {
  Matrix part(static_cast<int64_t>(rows.size()), static_cast<int64_t>(cols.size()));
  for (int64_t i = 0; i < part.rows(); ++i) {
    for (int64_t j = 0; j < part.cols(); ++j) part(i, j) = a(rows[i], cols[j]);
  }
  return part;
}

Matrix Rows(const Matrix& a, int64_t first, int64_t count) {
  const auto begin = a.values().begin() + first * a.cols();
  return Matrix(count, a.cols(), std::vector<double>(begin, begin + count * a.cols()));
}

Matrix Columns(const Matrix& a, int64_t first, int64_t count) {
  std::vector<int32_t> columns(count);
  std::iota(columns.begin(), columns.end(), static_cast<int32_t>(first));
  return Columns(a, columns);
}

Matrix Columns(const Matrix& a, std::span<const int32_t> columns) {
  return Submatrix(a, Range(a.rows()), columns);
}

double Trace(const Matrix& a) {
  double trace = 0;
  for (int64_t i = 0; i < a.rows(); ++i) trace += a(i, i);
  return trace;
}

double Norm(const Matrix& a) {
  double sum = 0;
  for (const double value : a.values()) sum += value * value;
  return std::sqrt(sum);
}

double RelativeError(const Matrix& a, const Matrix& b) { return Norm(a - b) / Norm(b); }

double LargestDifference(const Matrix& a, const Matrix& b) {
  double difference = 0;
  double largest = 0;
  for (size_t i = 0; i < b.values().size(); ++i) {
    difference = std::max(difference, std::abs(a.values()[i] - b.values()[i]));
    largest = std::max(largest, std::abs(b.values()[i]));
  }
  return difference / largest;
}

std::vector<int32_t> Range(int64_t count) {
  std::vector<int32_t> range(count);
  std::iota(range.begin(), range.end(), 0);
  return range;
}

Matrix RandomMatrix(int64_t rows, int64_t cols, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Matrix matrix(rows, cols);
  for (double& value : matrix.values()) value = normal(generator);
  return matrix;
}

Matrix RandomHessian(int64_t m, uint32_t seed) {
  const int64_t samples = 3 * m;
  Matrix x = RandomMatrix(samples, m, seed);
  const Matrix shared = RandomMatrix(samples, 1, seed + 1);
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t j = 0; j < m; ++j) {
      x(i, j) = (x(i, j) + shared(i, 0)) * (0.5 + static_cast<double>(j % 7) / 4);
    }
  }
  Matrix h = (1.0 / static_cast<double>(samples)) * (Transposed(x) * x);
  for (double& value : h.values()) value = static_cast<float>(value);
  return h;
}

Matrix RandomCross(const Matrix& hessian, uint32_t seed) {
  Matrix cross = hessian + 0.03 * RandomMatrix(hessian.rows(), hessian.cols(), seed);
  for (double& value : cross.values()) value = static_cast<float>(value);
  return cross;
}

Tensor NewTensor(Backend& backend, int64_t rows, int64_t cols) {
  return backend.Allocate(ElementType::kF32, rows, cols).value();
}

Tensor Upload(Backend& backend, const Matrix& matrix) {
  const std::vector<float> values(matrix.values().begin(), matrix.values().end());
  Tensor tensor = NewTensor(backend, matrix.rows(), matrix.cols());
  EXPECT_TRUE(backend.Upload(values.data(), tensor).ok());
  return tensor;
}

Tensor UploadTrits(Backend& backend, const Matrix& matrix) {
  const std::vector<int8_t> values(matrix.values().begin(), matrix.values().end());
  Tensor tensor = backend.Allocate(ElementType::kI8, matrix.rows(), matrix.cols()).value();
  EXPECT_TRUE(backend.Upload(values.data(), tensor).ok());
  return tensor;
}

Tensor UploadColumns(Backend& backend, std::span<const int32_t> columns) {
  Tensor tensor =
      backend.Allocate(ElementType::kI32, 1, static_cast<int64_t>(columns.size())).value();
  EXPECT_TRUE(backend.Upload(columns.data(), tensor).ok());
  return tensor;
}

Tensor ZeroCounts(Backend& backend, int64_t count) {
  return UploadColumns(backend, std::vector<int32_t>(count));
}

std::vector<int32_t> DownloadIntegers(Backend& backend, const Tensor& tensor) {
  std::vector<int32_t> values(tensor.elements());
  EXPECT_TRUE(backend.Download(tensor, values.data()).ok());
  return values;
}

Matrix Download(Backend& backend, const Tensor& tensor) {
  Matrix matrix(tensor.rows(), tensor.cols());
  if (tensor.type() == ElementType::kI8) {
    std::vector<int8_t> values(tensor.elements());
    EXPECT_TRUE(backend.Download(tensor, values.data()).ok());
    std::copy(values.begin(), values.end(), matrix.values().begin());
  } else {
    std::vector<float> values(tensor.elements());
    EXPECT_TRUE(backend.Download(tensor, values.data()).ok());
    std::copy(values.begin(), values.end(), matrix.values().begin());
  }
  return matrix;
}

}  // namespace tern
