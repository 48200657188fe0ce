#include "server/jobs/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "proto/service/error_details.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

TEST(EventsTest, SequencesRiseByOneFromOne) {
  JobWorld world;
  const std::string job = world.Create().name();
  ASSERT_TRUE(RunAll(world.system()));
  const auto events = world.Events(job);
  ASSERT_GE(events.size(), 10U);
  EXPECT_EQ(events.front().state_changed().state(), v1::QuantizationJob::PENDING);
  EXPECT_EQ(events.at(1).state_changed().state(), v1::QuantizationJob::RUNNING);
  EXPECT_EQ(events.back().state_changed().state(), v1::QuantizationJob::SUCCEEDED);
  for (const v1::JobEvent& event : events) EXPECT_TRUE(event.has_time());
}

TEST(EventsTest, APageFollowsTheSequenceAskedForAndKnowsTheEnd) {
  JobWorld world;
  const std::string uid = world.Record(world.Create().name()).uid;
  auto page = ReadEvents(world.context(), uid, 0, 10);
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->events.size(), 1U);
  EXPECT_FALSE(page->ended);

  ASSERT_TRUE(RunAll(world.system()));
  page = ReadEvents(world.context(), uid, 1, 2);
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->events.size(), 2U);
  EXPECT_EQ(page->events[0].sequence, 2);
  EXPECT_FALSE(page->ended);
  page = ReadEvents(world.context(), uid, 3, 1000);
  ASSERT_THAT(page, IsOk());
  EXPECT_TRUE(page->ended);
  page = ReadEvents(world.context(), uid, page->events.back().sequence, 1000);
  ASSERT_THAT(page, IsOk());
  EXPECT_TRUE(page->events.empty());
  EXPECT_TRUE(page->ended);
}

TEST(EventsTest, DroppedEventsAreOutOfRangeAndNameTheOldest) {
  JobsOptions options;
  options.events_kept = 8;
  JobWorld world(options);
  const std::string job = world.Create().name();
  ASSERT_TRUE(RunAll(world.system()));
  const JobRecord record = world.Record(job);
  ASSERT_GT(record.oldest_sequence, 1);
  EXPECT_GE(record.last_sequence - record.oldest_sequence + 1, 8);
  EXPECT_LE(record.last_sequence - record.oldest_sequence + 1, 9);

  const auto dropped = ReadEvents(world.context(), record.uid, 0, 10);
  EXPECT_THAT(dropped, IsError(absl::StatusCode::kOutOfRange, HasSubstr("no longer kept")));
  EXPECT_EQ(ReasonOf(dropped.status()), "EVENTS_DROPPED");
  google::rpc::ErrorInfo info;
  const google::rpc::Status proto = ToProto(dropped.status());
  for (const auto& detail : proto.details()) detail.UnpackTo(&info);
  EXPECT_EQ(info.metadata().at("oldest_sequence"), std::to_string(record.oldest_sequence));

  const auto rest = ReadEvents(world.context(), record.uid, record.oldest_sequence - 1, 100);
  ASSERT_THAT(rest, IsOk());
  EXPECT_EQ(rest->events.front().sequence, record.oldest_sequence);
  EXPECT_EQ(rest->events.back().sequence, record.last_sequence);
}

TEST(EventsTest, NegativeSequencesAndUnknownJobsAreRefused) {
  JobWorld world;
  const std::string uid = world.Record(world.Create().name()).uid;
  EXPECT_THAT(ReadEvents(world.context(), uid, -1, 10),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("after_sequence")));
  EXPECT_THAT(ReadEvents(world.context(), "none", 0, 10),
              IsError(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST(EventsTest, WatchersAreToldOfEveryChange) {
  JobWorld world;
  const std::string job = world.Create().name();
  int told = 0;
  auto registration = world.system().job_signal().Once(world.Record(job).uid, [&] { ++told; });
  FakeWorker worker("w");
  ASSERT_THAT(worker.Idle(world.system()), IsOk());
  EXPECT_EQ(told, 1);
  registration = world.system().job_signal().Once(world.Record(job).uid, [&] { ++told; });
  ASSERT_THAT(worker.Finish(world.system()), IsOk());
  EXPECT_EQ(told, 2);
  registration = world.system().job_signal().Once(world.Record(job).uid, [&] { ++told; });
  ASSERT_THAT(world.operations().Cancel(job), IsOk());
  EXPECT_EQ(told, 3);
}

}  // namespace
}  // namespace tern
