#include "proto/service/log.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace tern {
namespace {

using nlohmann::json;

TEST(LogTest, ALineIsOneJsonObjectWithItsFields) {
  SetLogProgram("tern-test");
  testing::internal::CaptureStderr();
  Log(LogLevel::kWarning, "line\nbreak \"quoted\"",
      {{"count", 3}, {"ratio", 0.5}, {"name", "a\\b"}});
  const std::string output = testing::internal::GetCapturedStderr();

  EXPECT_EQ(output.find('\n'), output.size() - 1) << output;
  const json line = json::parse(output);
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["program"], "tern-test");
  EXPECT_EQ(line["message"], "line\nbreak \"quoted\"");
  EXPECT_EQ(line["count"], 3);
  EXPECT_EQ(line["ratio"], 0.5);
  EXPECT_EQ(line["name"], "a\\b");
  EXPECT_TRUE(line.contains("time"));
}

TEST(LogTest, ValuesJsonCannotHoldStillGiveAValidLine) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kError, "\xff not utf-8", {{"nan", std::numeric_limits<double>::quiet_NaN()}});
  const json line = json::parse(testing::internal::GetCapturedStderr());
  EXPECT_TRUE(line["nan"].is_null());
}

TEST(LogTest, LinesBelowTheLevelAreDropped) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kDebug, "unseen");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace tern
