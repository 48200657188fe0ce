#include "checkpoint/dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(DTypeTest, NamesAreThoseOfSafetensorsHeaders) {
  EXPECT_EQ(DTypeName(DType::kBF16), "BF16");
  EXPECT_EQ(DTypeName(DType::kF8E4M3), "F8_E4M3");
  EXPECT_EQ(ParseDType("I64"), DType::kI64);
}

TEST(DTypeTest, EveryNameParsesToItsOwnType) {
  for (int i = 0; i <= static_cast<int>(DType::kU64); ++i) {
    const DType dtype = static_cast<DType>(i);
    EXPECT_EQ(ParseDType(DTypeName(dtype)), dtype);
  }
}

TEST(DTypeTest, SizesAreBytesOfAnElement) {
  EXPECT_EQ(DTypeSize(DType::kBool), 1);
  EXPECT_EQ(DTypeSize(DType::kF8E5M2), 1);
  EXPECT_EQ(DTypeSize(DType::kF16), 2);
  EXPECT_EQ(DTypeSize(DType::kU32), 4);
  EXPECT_EQ(DTypeSize(DType::kF64), 8);
}

TEST(DTypeTest, UnknownAndSubByteTypesAreNotParsed) {
  EXPECT_FALSE(ParseDType("F4").has_value());
  EXPECT_FALSE(ParseDType("bf16").has_value());
  EXPECT_FALSE(ParseDType("").has_value());
}

TEST(DTypeTest, OnlyThreeTypesMayHoldWeights) {
  EXPECT_TRUE(IsWeightDType(DType::kBF16));
  EXPECT_TRUE(IsWeightDType(DType::kF16));
  EXPECT_TRUE(IsWeightDType(DType::kF32));
  EXPECT_FALSE(IsWeightDType(DType::kF64));
  EXPECT_FALSE(IsWeightDType(DType::kI8));
}

}  // namespace
}  // namespace tern
