#include "worker/agent/process_memory.h"

#include <gtest/gtest.h>

#include <memory>

#include "proto/service/process_memory.h"

namespace tern {
namespace {

TEST(ProcessMemoryTest, TouchedMemoryIsResidentAndFreedMemoryCanBeReturned) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const int64_t before = ResidentBytes();
  auto memory = std::make_unique<char[]>(kBytes);  // zeroed, and so touched
  const int64_t during = ResidentBytes();
  // Half of it leaves room for what else a process does.
  EXPECT_GT(during - before, kBytes / 2);
  memory.reset();
  ReturnFreeMemory();
  EXPECT_LT(ResidentBytes(), during - kBytes / 2);
}

TEST(ProcessMemoryTest, TheLimitIsSomeOfTheMachinesMemory) {
  EXPECT_GT(MemoryLimitBytes(), ResidentBytes());
}

}  // namespace
}  // namespace tern
