#ifndef TERN_TESTS_TEST_BACKEND_H_
#define TERN_TESTS_TEST_BACKEND_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "worker/backend/device.h"

namespace tern {

// What the suites of operations and methods run on: the device that TERN_TEST_DEVICE names, else
// the CPU. `type` is that of its activations.
inline DeviceOptions TestDevice(int threads, ElementType type = ElementType::kF32) {
  const char* device = std::getenv("TERN_TEST_DEVICE");
  DeviceOptions options;
  options.device = device == nullptr ? "cpu" : device;
  options.threads = threads;
  options.activation_type = type;
  return options;
}

// Whether a row's bits depend on its inputs alone, not on the rows computed beside it: so on the
// CPU; elsewhere libraries choose their algorithm by the shape.
inline bool RowsAreIndependent(const Backend& backend) { return backend.name() == "cpu"; }

inline std::unique_ptr<Backend> TestBackend(int threads = 2) {
  auto backend = CreateBackend(TestDevice(threads));
  EXPECT_TRUE(backend.ok()) << backend.status();
  return *std::move(backend);
}

}  // namespace tern

#endif  // TERN_TESTS_TEST_BACKEND_H_
