#include "client/exit_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using absl::StatusCode;

TEST(ExitCodeTest, NumbersAreThoseScriptsRelyOn) {
  EXPECT_EQ(kExitOk, 0);
  EXPECT_EQ(kExitFailed, 1);
  EXPECT_EQ(kExitUsage, 2);
  EXPECT_EQ(kExitUnavailable, 3);
  EXPECT_EQ(kExitCancelled, 4);
  EXPECT_EQ(kExitDetached, 5);
}

TEST(ExitCodeTest, RefusedRequestsAreUsageErrors) {
  for (const StatusCode code :
       {StatusCode::kInvalidArgument, StatusCode::kNotFound, StatusCode::kAlreadyExists,
        StatusCode::kPermissionDenied, StatusCode::kUnauthenticated,
        StatusCode::kFailedPrecondition, StatusCode::kOutOfRange, StatusCode::kUnimplemented}) {
    EXPECT_EQ(ExitCodeFor(code), kExitUsage) << StatusCodeName(code);
  }
}

TEST(ExitCodeTest, WhatMayPassIsUnavailable) {
  for (const StatusCode code : {StatusCode::kUnavailable, StatusCode::kDeadlineExceeded,
                                StatusCode::kResourceExhausted, StatusCode::kAborted}) {
    EXPECT_EQ(ExitCodeFor(code), kExitUnavailable) << StatusCodeName(code);
  }
}

TEST(ExitCodeTest, CorruptDataAndBugsAreFailures) {
  for (const StatusCode code :
       {StatusCode::kDataLoss, StatusCode::kInternal, StatusCode::kUnknown}) {
    EXPECT_EQ(ExitCodeFor(code), kExitFailed) << StatusCodeName(code);
  }
}

TEST(ExitCodeTest, CancelledHasItsOwn) {
  EXPECT_EQ(ExitCodeFor(StatusCode::kCancelled), kExitCancelled);
  EXPECT_EQ(ExitCodeFor(StatusCode::kOk), kExitOk);
}

TEST(ExitCodeTest, HelpListsAllSix) {
  for (const char* line : {"\n  0  ", "\n  1  ", "\n  2  ", "\n  3  ", "\n  4  ", "\n  5  "}) {
    EXPECT_THAT(ExitCodeHelp(), testing::HasSubstr(line));
  }
}

}  // namespace
}  // namespace tern
