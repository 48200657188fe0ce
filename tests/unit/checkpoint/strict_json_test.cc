#include "checkpoint/strict_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Nested(int depth) {
  std::string text = "1";
  for (int i = 0; i < depth; ++i) text = "{\"a\":" + text + "}";
  return text;
}

TEST(StrictJsonTest, AnObjectIsParsed) {
  const auto json = ParseJsonObject(R"({"a": [1, {"b": 2}], "c": {"b": 3}})", "x.json");
  ASSERT_THAT(json, IsOk());
  EXPECT_EQ((*json)["a"][1]["b"], 2);
}

TEST(StrictJsonTest, ErrorsBeginWithTheLabel) {
  EXPECT_THAT(ParseJsonObject("{", "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("x.json: not valid JSON")));
  EXPECT_THAT(ParseJsonObject("", "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("x.json")));
}

TEST(StrictJsonTest, AnythingButAnObjectIsRefused) {
  EXPECT_THAT(ParseJsonObject("[1]", "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("an object is expected")));
}

TEST(StrictJsonTest, NestingIsLimited) {
  EXPECT_THAT(ParseJsonObject(Nested(32), "x.json"), IsOk());
  EXPECT_THAT(ParseJsonObject(Nested(33), "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("nested more than 32 deep")));
}

TEST(StrictJsonTest, AMillionOpenBracketsAreAnErrorNotACrash) {
  EXPECT_THAT(ParseJsonObject("{\"a\":" + std::string(1'000'000, '['), "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("nested")));
}

TEST(StrictJsonTest, ANameTwiceInAnObjectIsRefused) {
  EXPECT_THAT(ParseJsonObject(R"({"a": 1, "b": {"c": 1, "c": 2}})", "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("\"c\" twice")));
  EXPECT_THAT(ParseJsonObject(R"({"a": 1, "b": [], "a": 2})", "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("\"a\" twice")));
}

TEST(StrictJsonTest, OneNameInTwoObjectsIsFine) {
  EXPECT_THAT(ParseJsonObject(R"({"x": [{"a": 1}, {"a": 2}], "a": {"a": 3}})", "x.json"), IsOk());
}

TEST(StrictJsonTest, TextThatIsNotUtf8IsRefused) {
  EXPECT_THAT(ParseJsonObject("{\"a\": \"\xff\"}", "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("x.json")));
}

TEST(StrictJsonTest, ANulByteIsNotTheEndOfTheText) {
  EXPECT_THAT(ParseJsonObject(absl::string_view("{}\0x", 4), "x.json"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("a NUL byte")));
}

TEST(JsonIntegerTest, OnlyIntegersInRangeAreTaken) {
  EXPECT_EQ(*JsonInteger(7, "f", 0, 7), 7);
  EXPECT_THAT(JsonInteger(8, "f", 0, 7),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("f: 8 is not within 0 to 7")));
  EXPECT_THAT(JsonInteger(-1, "f", 0, 7), Not(IsOk()));
  EXPECT_THAT(JsonInteger(7.0, "f", 0, 7),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not 7.0")));
  EXPECT_THAT(JsonInteger("7", "f", 0, 7), Not(IsOk()));
  EXPECT_THAT(JsonInteger(true, "f", 0, 7), Not(IsOk()));
  EXPECT_THAT(JsonInteger(nullptr, "f", 0, 7), Not(IsOk()));
}

TEST(JsonIntegerTest, AnUnsignedNumberPastInt64DoesNotWrap) {
  EXPECT_THAT(JsonInteger(18446744073709551615ULL, "f", -10, 7), Not(IsOk()));
}

TEST(ShownTest, ControlCharactersAreEscapedAndLongTextsCut) {
  EXPECT_EQ(Shown("a\nb"), "a\\nb");
  EXPECT_EQ(Shown(std::string(300, 'x')), std::string(200, 'x') + "...");
}

}  // namespace
}  // namespace tern
