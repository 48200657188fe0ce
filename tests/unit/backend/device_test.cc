#include "worker/backend/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/backend/host_tensors.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

TEST(DeviceTest, CpuIsBuiltIn) { EXPECT_EQ(CreateBackend("cpu", 1).value()->name(), "cpu"); }

TEST(DeviceTest, AnUnknownDeviceIsRefusedWithThoseBuiltIn) {
  const auto backend = CreateBackend("tpu", 1);
  EXPECT_EQ(backend.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(backend.status().message()), HasSubstr("is not cpu, cuda:N or auto"));
}

TEST(DeviceTest, ACudaDeviceThatIsNotThereIsRefused) {
  const auto backend = CreateBackend("cuda:9999", 1);
  EXPECT_FALSE(backend.ok());
  EXPECT_THAT(std::string(backend.status().message()), HasSubstr("cuda:9999"));
  EXPECT_EQ(CreateBackend("cuda:x", 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DeviceTest, TheCpuComputesInFloat32Only) {
  DeviceOptions options;
  options.activation_type = ElementType::kBF16;
  EXPECT_EQ(CreateBackend(options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DeviceTest, ALimitOfMemoryIsRefusedWhereItWouldHaveNoEffect) {
  DeviceOptions options;
  options.memory_limit = int64_t{1} << 30;
  EXPECT_EQ(CreateBackend(options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DeviceTest, ANegativeNumberOfThreadsIsRefused) {
  EXPECT_EQ(CreateBackend("cpu", -1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MemoryTest, WhatIsUploadedIsDownloaded) {
  const auto backend = TestBackend(1);
  const std::vector<int32_t> ids = {1, -2, 3, 4, 5, 6};
  const Tensor tensor = Upload(*backend, ElementType::kI32, ids, 2, 3);
  std::vector<int32_t> back(6);
  ASSERT_TRUE(backend->Download(tensor, back.data()).ok());
  EXPECT_EQ(back, ids);
}

TEST(MemoryTest, AViewOfRowsSharesTheStorage) {
  const auto backend = TestBackend(1);
  const Tensor tensor = UploadFloats(*backend, {1, 2, 3, 4, 5, 6}, 3, 2);
  ASSERT_TRUE(backend->Zero(tensor.Rows(1, 1)).ok());
  EXPECT_EQ(DownloadFloats(*backend, tensor), (std::vector<float>{1, 2, 0, 0, 5, 6}));
}

TEST(MemoryTest, AnyOperationMayBeTheFirstOfItsThread) {
  const auto backend = TestBackend(1);
  const Tensor from = UploadFloats(*backend, {1, 2, 3, 4}, 2, 2);
  const Tensor to = EmptyFloats(*backend, 2, 2);
  absl::Status status;
  std::thread([&] { status = backend->Copy(from, to); }).join();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(DownloadFloats(*backend, to), (std::vector<float>{1, 2, 3, 4}));
}

TEST(MemoryTest, WhatAThreadFreesIsFreeWhateverItDidBefore) {
  const auto backend = TestBackend(1);
  if (!backend->memory().has_value()) GTEST_SKIP() << "the CPU's memory is the system's";
  const auto free_bytes = [&] { return backend->memory()->total - backend->memory()->used; };
  const int64_t before = free_bytes();
  Tensor tensor = EmptyFloats(*backend, 1024, 1024);
  ASSERT_LT(free_bytes(), before);
  std::thread([&] { tensor = Tensor(); }).join();
  ASSERT_TRUE(backend->Health().ok());
  EXPECT_EQ(free_bytes(), before);
}

TEST(MemoryTest, CopyMovesTheValuesOfOneTensorToAnother) {
  const auto backend = TestBackend(1);
  const Tensor from = UploadFloats(*backend, {1, 2, 3, 4}, 2, 2);
  const Tensor to = EmptyFloats(*backend, 2, 2);
  ASSERT_TRUE(backend->Copy(from, to).ok());
  EXPECT_EQ(DownloadFloats(*backend, to), (std::vector<float>{1, 2, 3, 4}));
}

TEST(MemoryTest, MoreThanThereIsNamesWhatWasAskedAndWhatIsFree) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end the program on an impossible allocation";
#endif
  const auto backend = TestBackend(1);
  const auto tensor = backend->Allocate(ElementType::kI8, int64_t{1} << 31, int64_t{1} << 31);
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(tensor.status().message()),
              HasSubstr("asked for 4611686018427387904 bytes"));
}

}  // namespace
}  // namespace tern
