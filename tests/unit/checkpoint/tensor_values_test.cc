#include "checkpoint/tensor_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReadFloatTest, WidensEveryWeightType) {
  std::vector<float> out(2);
  const std::vector<uint8_t> bf16 = {0x80, 0x3f, 0x00, 0xc0};
  ASSERT_THAT(ReadFloat({"w", DType::kBF16, {2}, bf16}, out), IsOk());
  EXPECT_THAT(out, ElementsAre(1.0F, -2.0F));
  const std::vector<uint8_t> f16 = {0x00, 0x3c, 0x00, 0xc0};
  ASSERT_THAT(ReadFloat({"w", DType::kF16, {2}, f16}, out), IsOk());
  EXPECT_THAT(out, ElementsAre(1.0F, -2.0F));
  const std::vector<uint8_t> f32 = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
  ASSERT_THAT(ReadFloat({"w", DType::kF32, {2}, f32}, out), IsOk());
  EXPECT_THAT(out, ElementsAre(1.0F, -2.0F));
}

TEST(ReadFloatTest, NanAndInfinityAreRefusedWithTensorAndIndex) {
  std::vector<uint8_t> bytes(2 * 10'000, 0);
  std::vector<float> out(10'000);
  bytes[2 * 9'001] = 0xc0;
  bytes[2 * 9'001 + 1] = 0x7f;
  EXPECT_THAT(ReadFloat({"w", DType::kBF16, {10'000}, bytes}, out),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("w: nan at index 9001")));
  bytes[2 * 9'001] = 0x80;
  bytes[2 * 9'001 + 1] = 0xff;
  EXPECT_THAT(ReadFloat({"w", DType::kBF16, {10'000}, bytes}, out),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("w: -inf at index 9001")));
}

TEST(ReadFloatTest, OtherTypesAndCountsAreRefused) {
  const std::vector<uint8_t> bytes(8);
  std::vector<float> out(2);
  EXPECT_THAT(ReadFloat({"w", DType::kI32, {2}, bytes}, out),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("dtype I32")));
  std::vector<float> small(1);
  EXPECT_THAT(ReadFloat({"w", DType::kF32, {2}, bytes}, small),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("2 elements, but 1")));
}

}  // namespace
}  // namespace tern
