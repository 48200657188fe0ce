#include "server/jobs/job_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

TEST(JobNamesTest, ANameIsTakenApartAndPutTogether) {
  const auto name = ParseJobName("namespaces/team-a/quantizationJobs/nightly-7");
  ASSERT_THAT(name, IsOk());
  EXPECT_EQ(name->name_space, "team-a");
  EXPECT_EQ(name->id, "nightly-7");
  EXPECT_EQ(FormatJobName(name->name_space, name->id),
            "namespaces/team-a/quantizationJobs/nightly-7");
}

TEST(JobNamesTest, OtherFormsAreRefused) {
  for (const char* const name :
       {"", "nightly", "namespaces/a/quantizationJobs/", "namespaces//quantizationJobs/b",
        "namespaces/a/jobs/b", "namespaces/a/quantizationJobs/b/c",
        "namespaces/-/quantizationJobs/b", "/namespaces/a/quantizationJobs/b"}) {
    EXPECT_THAT(ParseJobName(name), IsError(absl::StatusCode::kInvalidArgument, HasSubstr("name")))
        << name;
  }
}

TEST(JobNamesTest, AParentIsANamespaceAndDefaultsToDefault) {
  EXPECT_EQ(*ParseParent("", false), "default");
  EXPECT_EQ(*ParseParent("namespaces/a", false), "a");
  EXPECT_EQ(*ParseParent("namespaces/-", true), "-");
  EXPECT_FALSE(ParseParent("namespaces/-", false).ok());
  EXPECT_THAT(ParseParent("a", true),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("parent")));
}

TEST(JobNamesTest, IdsAreLowerCaseWords) {
  EXPECT_TRUE(IsValidResourceId("a"));
  EXPECT_TRUE(IsValidResourceId("a-1"));
  EXPECT_TRUE(IsValidResourceId(std::string(63, 'a')));
  for (const std::string& id :
       {std::string(), std::string("A"), std::string("1a"), std::string("-a"), std::string("a-"),
        std::string("a_b"), std::string("a/b"), std::string(64, 'a')}) {
    EXPECT_FALSE(IsValidResourceId(id)) << id;
  }
}

}  // namespace
}  // namespace tern
