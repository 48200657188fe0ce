#include "client/reconnect.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

TEST(ReconnectTest, DelayDoublesUpToFiveSeconds) {
  Reconnect reconnect(absl::Hours(1));
  EXPECT_EQ(reconnect.NextDelay(kStart), absl::Milliseconds(100));
  EXPECT_EQ(reconnect.NextDelay(kStart), absl::Milliseconds(200));
  EXPECT_EQ(reconnect.NextDelay(kStart), absl::Milliseconds(400));
  for (int i = 0; i < 10; ++i) reconnect.NextDelay(kStart);
  EXPECT_EQ(reconnect.NextDelay(kStart), absl::Seconds(5));
}

TEST(ReconnectTest, GivesUpAfterTheServerWasAwayForSoLong) {
  Reconnect reconnect(absl::Seconds(10));
  EXPECT_TRUE(reconnect.NextDelay(kStart));
  EXPECT_TRUE(reconnect.NextDelay(kStart + absl::Seconds(9)));
  EXPECT_FALSE(reconnect.NextDelay(kStart + absl::Seconds(10)));
}

TEST(ReconnectTest, SuccessStartsAnew) {
  Reconnect reconnect(absl::Seconds(10));
  reconnect.NextDelay(kStart);
  reconnect.NextDelay(kStart);
  reconnect.Succeeded();
  EXPECT_EQ(reconnect.NextDelay(kStart + absl::Seconds(60)), absl::Milliseconds(100));
}

TEST(ReconnectTest, NoPatienceMeansNoSecondCall) {
  EXPECT_FALSE(Reconnect(absl::ZeroDuration()).NextDelay(kStart));
}

TEST(ReconnectTest, OnlyWhatMayPassIsTriedAgain) {
  EXPECT_TRUE(Reconnect::MayPass(absl::UnavailableError("")));
  EXPECT_TRUE(Reconnect::MayPass(absl::CancelledError("")));
  EXPECT_FALSE(Reconnect::MayPass(absl::NotFoundError("")));
  EXPECT_FALSE(Reconnect::MayPass(absl::AbortedError("")));
  EXPECT_FALSE(Reconnect::MayPass(absl::DataLossError("")));
}

}  // namespace
}  // namespace tern
