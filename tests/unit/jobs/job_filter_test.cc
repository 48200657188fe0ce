#include "server/jobs/job_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/jobs/page_token.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(JobFilterTest, NothingRestrictsNothing) {
  for (const char* const filter : {"", "  "}) {
    const auto query = ParseJobFilter(filter);
    ASSERT_THAT(query, IsOk());
    EXPECT_THAT(query->states, IsEmpty());
    EXPECT_THAT(query->labels, IsEmpty());
  }
}

TEST(JobFilterTest, TermsAreJoinedByAnd) {
  const auto query = ParseJobFilter(
      R"(state=RUNNING AND labels.pipeline = "night \"ly\"" AND labels.a.b=c)"
      R"( AND create_time > "2026-01-31T00:00:00Z" AND create_time < 2026-02-28T12:00:00+01:00)");
  ASSERT_THAT(query, IsOk());
  EXPECT_THAT(query->states, ElementsAre(JobState::kRunning));
  EXPECT_THAT(query->labels, ElementsAre(Pair("pipeline", "night \"ly\""), Pair("a.b", "c")));
  EXPECT_EQ(query->created_after,
            absl::FromCivil(absl::CivilDay(2026, 1, 31), absl::UTCTimeZone()));
  EXPECT_EQ(query->created_before,
            absl::FromCivil(absl::CivilHour(2026, 2, 28, 11), absl::UTCTimeZone()));
}

TEST(JobFilterTest, StatesAreExcludedOneByOne) {
  const auto query = ParseJobFilter("state != FAILED AND state != CANCELLED");
  ASSERT_THAT(query, IsOk());
  EXPECT_THAT(query->not_states, ElementsAre(JobState::kFailed, JobState::kCancelled));
}

TEST(JobFilterTest, TwoDifferentStatesMatchNothing) {
  const auto query = ParseJobFilter("state = FAILED AND state = RUNNING");
  ASSERT_THAT(query, IsOk());
  EXPECT_THAT(query->states, ElementsAre(JobState::kRunning));
  EXPECT_THAT(query->not_states, ElementsAre(JobState::kFailed, JobState::kRunning));
}

TEST(JobFilterTest, WhatCannotBeReadIsQuotedWithWhatIsAllowed) {
  for (const char* const filter :
       {"state", "state =", "state = DONE", "state = STATE_UNSPECIFIED", "state > RUNNING",
        "size = 3", "labels. = x", "labels.k != x", "create_time = \"2026-01-31T00:00:00Z\"",
        "create_time > yesterday", "state = RUNNING OR state = FAILED", "state = RUNNING AND",
        "labels.k = \"open", "= = =", "state = (RUNNING)", "state RUNNING ="}) {
    EXPECT_THAT(ParseJobFilter(filter), IsError(absl::StatusCode::kInvalidArgument,
                                                AllOf(HasSubstr("filter"), HasSubstr("AND"))))
        << filter;
  }
}

TEST(JobFilterTest, LengthAndTermsAreBounded) {
  EXPECT_FALSE(ParseJobFilter(std::string(5000, 'x')).ok());
  std::string filter = "labels.k = v";
  for (int i = 0; i < 15; ++i) filter += " AND labels.k = v";
  EXPECT_THAT(ParseJobFilter(filter), IsOk());
  EXPECT_FALSE(ParseJobFilter(filter + " AND labels.k = v").ok());
}

TEST(PageTokenTest, ATokenLeadsBackToItsPlace) {
  const auto number = ReadPageToken(MakePageToken(42, "default", "f"), "default", "f");
  ASSERT_THAT(number, IsOk());
  EXPECT_EQ(*number, 42);
}

TEST(PageTokenTest, AnotherListOrAForgedTokenIsRefused) {
  const std::string token = MakePageToken(42, "default", "f");
  for (const auto& [text, parent, filter] : {std::tuple{token, "other", "f"},
                                             {token, "default", "g"},
                                             {token + "A", "default", "f"},
                                             {"", "default", "f"},
                                             {"!!", "default", "f"},
                                             {"NDI6", "default", "f"}}) {
    EXPECT_THAT(ReadPageToken(text, parent, filter),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
  }
}

}  // namespace
}  // namespace tern
