#ifndef TERN_TESTS_UNIT_BACKEND_HOST_TENSORS_H_
#define TERN_TESTS_UNIT_BACKEND_HOST_TENSORS_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/test_backend.h"
#include "worker/backend/backend.h"

namespace tern {

// Standard normal values; equal seeds give equal values.
inline std::vector<float> RandomValues(int64_t count, uint32_t seed, double scale = 1.0) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(generator));
  return values;
}

template <typename T>
Tensor Upload(Backend& backend, ElementType type, const std::vector<T>& values, int64_t rows,
              int64_t cols) {
  EXPECT_EQ(static_cast<int64_t>(values.size()), rows * cols);
  auto tensor = backend.Allocate(type, rows, cols);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_TRUE(backend.Upload(values.data(), *tensor).ok());
  return *tensor;
}

inline Tensor UploadFloats(Backend& backend, const std::vector<float>& values, int64_t rows,
                           int64_t cols) {
  return Upload(backend, ElementType::kF32, values, rows, cols);
}

inline Tensor EmptyFloats(Backend& backend, int64_t rows, int64_t cols) {
  // NaN, so that a result that is not written shows.
  return UploadFloats(backend, std::vector<float>(rows * cols, std::nanf("")), rows, cols);
}

inline std::vector<float> DownloadFloats(Backend& backend, const Tensor& tensor) {
  std::vector<float> values(tensor.elements());
  EXPECT_TRUE(backend.Download(tensor, values.data()).ok());
  return values;
}

// ‖actual - expected‖ / ‖expected‖
template <typename A, typename E>
double NormalizedError(const std::vector<A>& actual, const std::vector<E>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / norm);
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_BACKEND_HOST_TENSORS_H_
