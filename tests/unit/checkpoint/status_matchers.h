#ifndef TERN_TESTS_UNIT_CHECKPOINT_STATUS_MATCHERS_H_
#define TERN_TESTS_UNIT_CHECKPOINT_STATUS_MATCHERS_H_

#include <gmock/gmock.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tern {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// For absl::Status and absl::StatusOr alike.
MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// EXPECT_THAT(result, IsError(absl::StatusCode::kNotFound, HasSubstr("config.json")));
MATCHER_P2(IsError, code, message, "is an error with a certain code and message") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::Matches(message)(std::string(StatusOf(arg).message()));
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_CHECKPOINT_STATUS_MATCHERS_H_
