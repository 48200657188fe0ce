#include "worker/quant/pt2llm_options.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using testing::HasSubstr;

void ExpectRefused(const Pt2LlmOptions& options, const std::string& field) {
  const absl::Status status = ValidateOptions(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(field + ":"));
}

TEST(Pt2LlmOptionsTest, DefaultsAreValid) { EXPECT_TRUE(ValidateOptions(Pt2LlmOptions()).ok()); }

TEST(Pt2LlmOptionsTest, GroupSizeIsFrom16To4096) {
  Pt2LlmOptions options;
  for (const int64_t size : {16, 4096}) {
    options.group_size = size;
    EXPECT_TRUE(ValidateOptions(options).ok());
  }
  for (const int64_t size : {int64_t{15}, int64_t{4097}, int64_t{0}, int64_t{-128},
                             std::numeric_limits<int64_t>::max()}) {
    options.group_size = size;
    ExpectRefused(options, "group_size");
  }
}

TEST(Pt2LlmOptionsTest, GptaqIsFrom0To1) {
  Pt2LlmOptions options;
  for (const double lambda : {0.0, 1.0}) {
    options.gptaq = lambda;
    EXPECT_TRUE(ValidateOptions(options).ok());
  }
  for (const double lambda : {-0.1, 1.1, std::numeric_limits<double>::infinity(),
                              std::numeric_limits<double>::quiet_NaN()}) {
    options.gptaq = lambda;
    ExpectRefused(options, "gptaq");
  }
}

TEST(Pt2LlmOptionsTest, DampingIsAbove0AndAtMost1) {
  Pt2LlmOptions options;
  options.damping = 1;
  EXPECT_TRUE(ValidateOptions(options).ok());
  for (const double damping : {0.0, -0.01, 1.1, std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN()}) {
    options.damping = damping;
    ExpectRefused(options, "damping");
  }
}

}  // namespace
}  // namespace tern
