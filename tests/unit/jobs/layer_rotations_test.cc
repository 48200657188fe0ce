#include "server/jobs/layer_rotations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using testing::HasSubstr;

ModelConfig ConfigOf(int64_t intermediate_size) {
  ModelConfig config;
  config.hidden_size = 64;
  config.intermediate_size = intermediate_size;
  config.num_heads = 2;
  config.num_kv_heads = 2;
  config.head_dim = 32;
  config.num_blocks = 1;
  return config;
}

TEST(LayerRotationsTest, AWidthWithALargePrimeFactorHasNoRotation) {
  MethodRecipe recipe;
  recipe.rotation = v1::TwlaMethod::ROTATION_KOTMS;
  EXPECT_THAT(CheckRotations(recipe, ConfigOf(11008)), IsOk());
  const absl::Status refused = CheckRotations(recipe, ConfigOf(16411));  // a prime
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("mlp.down_proj has 16411 inputs"));
  recipe.rotation = v1::TwlaMethod::ROTATION_NONE;
  EXPECT_THAT(CheckRotations(recipe, ConfigOf(16411)), IsOk());
}

}  // namespace
}  // namespace tern
