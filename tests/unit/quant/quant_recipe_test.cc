#include "worker/quant/quant_recipe.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tern {
namespace {

using testing::HasSubstr;

void ExpectRefused(const QuantRecipe& options, const std::string& field) {
  const absl::Status status = ValidateOptions(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(field + ":"));
}

TEST(QuantRecipeTest, DefaultsAreValid) { EXPECT_TRUE(ValidateOptions(QuantRecipe()).ok()); }

TEST(QuantRecipeTest, GroupSizeIsFrom16To4096) {
  QuantRecipe options;
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

TEST(QuantRecipeTest, GptaqIsFrom0To1) {
  QuantRecipe options;
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

TEST(QuantRecipeTest, DampingIsAbove0AndAtMost1) {
  QuantRecipe options;
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
