#include "client/job_name.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(JobNameTest, BareIdIsLookedForInTheNamespace) {
  EXPECT_EQ(*JobName("demo", "team"), "namespaces/team/quantizationJobs/demo");
}

TEST(JobNameTest, FullNameStays) {
  const std::string name = "namespaces/other/quantizationJobs/demo";
  EXPECT_EQ(*JobName(name, "team"), name);
}

TEST(JobNameTest, AnythingElseIsRefused) {
  for (const char* name : {"", "a/b", "namespaces/x/jobs/y", "namespaces//quantizationJobs/y",
                           "namespaces/x/quantizationJobs/", "namespaces/x/quantizationJobs/y/z"}) {
    EXPECT_EQ(JobName(name, "default").status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

}  // namespace
}  // namespace tern
