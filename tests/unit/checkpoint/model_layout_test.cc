#include "checkpoint/model_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Not;

std::vector<std::string> Names(const std::vector<ExpectedTensor>& tensors) {
  std::vector<std::string> names;
  for (const ExpectedTensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

std::vector<int64_t> ShapeIn(const std::vector<ExpectedTensor>& tensors, const std::string& name) {
  for (const ExpectedTensor& tensor : tensors) {
    if (tensor.name == name) return tensor.shape;
  }
  return {-1};
}

ModelConfig Config(const std::string& overrides) {
  return *ParseModelConfig(SmallConfigJson(overrides));
}

TEST(ModelLayoutTest, SetsThatShareAnInputComeInTheOrderOfTheBlock) {
  EXPECT_THAT(
      CalibrationSets(),
      ElementsAre(ElementsAre(LinearKind::kQ, LinearKind::kK, LinearKind::kV),
                  ElementsAre(LinearKind::kO), ElementsAre(LinearKind::kGate, LinearKind::kUp),
                  ElementsAre(LinearKind::kDown)));
}

TEST(ModelLayoutTest, TheFlatListIsTheSetsInOrder) {
  std::vector<LinearKind> flat;
  for (const auto& set : CalibrationSets()) flat.insert(flat.end(), set.begin(), set.end());
  EXPECT_EQ(LinearKinds(), flat);
}

TEST(ModelLayoutTest, LinearLayersAreNamedAsInTransformers) {
  EXPECT_EQ(LinearName(3, LinearKind::kDown), "model.layers.3.mlp.down_proj");
  EXPECT_EQ(LinearName(0, LinearKind::kQ), "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(LinearModule(LinearKind::kO), "self_attn.o_proj");
}

TEST(ModelLayoutTest, ShapesFollowHeadsAndHeadDim) {
  const ModelConfig config = Config(R"({"head_dim": 6})");
  EXPECT_EQ(ShapeOf(config, LinearKind::kQ).rows, 12);
  EXPECT_EQ(ShapeOf(config, LinearKind::kK).rows, 6);
  EXPECT_EQ(ShapeOf(config, LinearKind::kV).cols, 8);
  EXPECT_EQ(ShapeOf(config, LinearKind::kO).rows, 8);
  EXPECT_EQ(ShapeOf(config, LinearKind::kO).cols, 12);
  EXPECT_EQ(ShapeOf(config, LinearKind::kUp).rows, 12);
  EXPECT_EQ(ShapeOf(config, LinearKind::kDown).cols, 12);
}

TEST(ModelLayoutTest, BiasesAreThoseTheConfigSays) {
  const ModelConfig config = Config(R"({"attention_bias": true})");
  const std::vector<ExpectedTensor> tensors = BlockTensors(config, 1);
  EXPECT_EQ(ShapeIn(tensors, "model.layers.1.self_attn.k_proj.bias"), std::vector<int64_t>{4});
  EXPECT_EQ(ShapeIn(tensors, "model.layers.1.self_attn.o_proj.bias"), std::vector<int64_t>{8});
  EXPECT_THAT(Names(tensors), Not(Contains("model.layers.1.mlp.up_proj.bias")));
}

TEST(ModelLayoutTest, Qwen3HasNormsOverTheHead) {
  const ModelConfig config = Config(R"({"architectures": ["Qwen3ForCausalLM"], "head_dim": 6})");
  EXPECT_EQ(ShapeIn(BlockTensors(config, 0), "model.layers.0.self_attn.q_norm.weight"),
            std::vector<int64_t>{6});
}

TEST(ModelLayoutTest, ABlockIsItsNormsBiasesAndLinearWeights) {
  const ModelConfig config = Config("{}");
  EXPECT_EQ(UnquantizedBlockTensors(config, 0).size(), 2U);
  EXPECT_EQ(BlockTensors(config, 0).size(), 2U + 7U);
  EXPECT_THAT(Names(BlockTensors(config, 0)),
              IsSupersetOf(Names(UnquantizedBlockTensors(config, 0))));
}

TEST(ModelLayoutTest, ATiedModelHasNoHead) {
  EXPECT_THAT(Names(OuterTensors(Config("{}"))), Contains("lm_head.weight"));
  EXPECT_THAT(Names(OuterTensors(Config(R"({"tie_word_embeddings": true})"))),
              ElementsAre("model.embed_tokens.weight", "model.norm.weight"));
}

}  // namespace
}  // namespace tern
