#include "server/jobs_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

using ::testing::HasSubstr;

TEST(JobsLogTest, LinesAboutALeaseNameItsJobAndTask) {
  JobsObserver metrics;
  JobsLog log(metrics);
  const ObservedLease lease = {.job = "namespaces/default/quantizationJobs/demo",
                               .task = "quantize/3",
                               .epoch = 2,
                               .worker = "w"};
  const std::string named =
      "\",\"job\":\"namespaces/default/quantizationJobs/demo\",\"task\":\"quantize/3\",\"epoch\":2";
  testing::internal::CaptureStderr();
  log.TaskAttempt(lease, "quantize", "failed");
  log.LeaseExpired(lease);
  log.StaleWriteRefused(lease, "upload");
  const std::string lines = testing::internal::GetCapturedStderr();
  for (const char* const message :
       {"task attempt ended", "lease taken back from a lost worker", "stale write refused"}) {
    EXPECT_THAT(lines, HasSubstr(message + named));
  }
}

TEST(JobsLogTest, AJobsEndIsALineWithItsStateAndError) {
  JobsObserver metrics;
  JobsLog log(metrics);
  const std::string job = "namespaces/default/quantizationJobs/demo";
  const auto line = [&](JobState state, const std::string& error) {
    testing::internal::CaptureStderr();
    log.JobEnded(job, state, error);
    return testing::internal::GetCapturedStderr();
  };
  const std::string named = "\"message\":\"job ended\",\"job\":\"" + job + "\",\"state\":";
  EXPECT_THAT(line(JobState::kFailed, "task scan failed: truncated"),
              HasSubstr(named + "\"FAILED\",\"error\":\"task scan failed: truncated\"}\n"));
  EXPECT_THAT(line(JobState::kSucceeded, ""), HasSubstr(named + "\"SUCCEEDED\"}\n"));
  EXPECT_THAT(line(JobState::kCancelled, ""), HasSubstr(named + "\"CANCELLED\"}\n"));
}

}  // namespace
}  // namespace tern
