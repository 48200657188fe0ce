#include "checkpoint/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/safetensors_header.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kDown[] = "model.layers.1.mlp.down_proj.weight";

class ModelFolderTest : public ::testing::Test {
 protected:
  // A model of the small config with these tensors, in one file.
  std::string Write(const OwnedTensors& tensors) {
    WriteText(folder_.File("config.json"), config_json_);
    WriteTensors(folder_.File("model.safetensors"), tensors);
    return folder_.path();
  }

  // The same in two shards, the blocks in the second.
  std::string WriteSharded() {
    WriteText(folder_.File("config.json"), config_json_);
    OwnedTensors first;
    OwnedTensors second;
    nlohmann::json map;
    for (const auto& [name, tensor] : tensors_) {
      const bool block = name.find("layers") != std::string::npos;
      (block ? second : first)[name] = tensor;
      map[name] = block ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
    }
    WriteTensors(folder_.File("model-00001-of-00002.safetensors"), first);
    WriteTensors(folder_.File("model-00002-of-00002.safetensors"), second);
    WriteIndex(map);
    return folder_.path();
  }

  void WriteIndex(const nlohmann::json& weight_map) {
    index_ = {{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}};
    WriteText(folder_.File("model.safetensors.index.json"), index_.dump());
  }

  TempDir folder_;
  std::string config_json_ = SmallConfigJson();
  OwnedTensors tensors_ = RandomWeights(*ParseModelConfig(SmallConfigJson()));
  nlohmann::json index_;
};

TEST_F(ModelFolderTest, OneFileIsOpened) {
  const auto model = ModelFolder::Open(Write(tensors_));
  ASSERT_THAT(model, IsOk());
  EXPECT_EQ((*model)->config().hidden_size, 8);
  EXPECT_EQ((*model)->config_json(), config_json_);
  ASSERT_THAT((*model)->Get(kDown), IsOk());
  EXPECT_THAT((*model)->Get(kDown)->shape, ElementsAre(8, 12));
}

TEST_F(ModelFolderTest, ShardsAreOpenedByTheIndex) {
  const auto model = ModelFolder::Open(WriteSharded());
  ASSERT_THAT(model, IsOk());
  const OwnedTensor& expected = tensors_.at(kDown);
  EXPECT_THAT((*model)->Get(kDown)->bytes, ::testing::ElementsAreArray(expected.bytes));
  EXPECT_THAT((*model)->Get("lm_head.weight"), IsOk());
}

TEST_F(ModelFolderTest, AnIndexOfTooManyFilesIsRefused) {
  WriteText(folder_.File("config.json"), config_json_);
  nlohmann::json map;
  for (int i = 0; i < 1025; ++i) {
    const std::string name = "tensor-" + std::to_string(i);
    const std::string header =
        "{\"" + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
    const uint64_t length = header.size();
    // Not durably: a thousand files take their time.
    std::ofstream(folder_.File(name), std::ios::binary)
        << std::string(reinterpret_cast<const char*>(&length), sizeof length) << header;
    map[name] = name;
  }
  WriteIndex(map);
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("model.safetensors.index.json: weight_map: more than 1024 files")));
}

TEST_F(ModelFolderTest, FilesOfTooManyTensorsTogetherAreRefused) {
  WriteText(folder_.File("config.json"), config_json_);
  nlohmann::json map;
  for (const std::string file : {"a", "b"}) {
    OwnedTensors tensors;
    for (size_t i = 0; i <= kMaxTensors / 2; ++i) {
      tensors[file + std::to_string(i)] = {DType::kU8, {0}, {}};
    }
    WriteTensors(folder_.File(file), tensors);
    map[file + "0"] = file;
  }
  WriteIndex(map);
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("weight_map: its files hold more than 262144 tensors")));
}

TEST_F(ModelFolderTest, BytesAndParametersAreThoseOfTheModelAlone) {
  tensors_["model.layers.0.self_attn.rotary_emb.inv_freq"] = {
      DType::kF32, {2}, std::vector<uint8_t>(8)};
  const auto model = ModelFolder::Open(Write(tensors_));
  ASSERT_THAT(model, IsOk());
  // Per block: q and o 8·8, k and v 4·8, three of 12·8, two norms of 8; outside: two of 16·8, a
  // norm.
  EXPECT_EQ((*model)->parameters(), 2 * (2 * 64 + 2 * 32 + 3 * 96 + 16) + 2 * 128 + 8);
  EXPECT_EQ((*model)->weight_bytes(), 2 * (*model)->parameters());
}

TEST_F(ModelFolderTest, EveryWeightTypeIsReadAsFloat) {
  for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
    const auto model =
        ModelFolder::Open(Write(RandomWeights(*ParseModelConfig(config_json_), dtype)));
    ASSERT_THAT(model, IsOk());
    std::vector<float> values(96);
    ASSERT_THAT((*model)->ReadFloat(kDown, values), IsOk());
    EXPECT_THAT(values, ::testing::Each(::testing::AllOf(::testing::Ge(-1), ::testing::Le(1))));
    EXPECT_THAT(values, ::testing::Contains(::testing::Ne(0)));
  }
}

TEST_F(ModelFolderTest, NanInAWeightIsRefusedWhereItIsRead) {
  tensors_[kDown].bytes[20] = 0xff;
  tensors_[kDown].bytes[21] = 0x7f;
  const auto model = ModelFolder::Open(Write(tensors_));
  ASSERT_THAT(model, IsOk());
  std::vector<float> values(96);
  EXPECT_THAT((*model)->ReadFloat(kDown, values),
              IsError(absl::StatusCode::kInvalidArgument,
                      AllOf(HasSubstr(kDown), HasSubstr("nan at index 10"))));
}

TEST_F(ModelFolderTest, AMissingFolderOrConfigIsNotFound) {
  EXPECT_THAT(ModelFolder::Open("/nonexistent"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/config.json")));
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kNotFound, HasSubstr("config.json")));
}

TEST_F(ModelFolderTest, MissingWeightsAreNotFoundWithWhatToDo) {
  WriteText(folder_.File("config.json"), config_json_);
  WriteText(folder_.File("pytorch_model.bin"), "");
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kNotFound, HasSubstr("safetensors format")));
}

TEST_F(ModelFolderTest, AShapeAgainstTheConfigIsRefused) {
  config_json_ = SmallConfigJson(R"({"intermediate_size": 14})");
  EXPECT_THAT(ModelFolder::Open(Write(tensors_)),
              IsError(absl::StatusCode::kInvalidArgument,
                      "model.layers.0.mlp.gate_proj.weight: shape [12,8] but config.json implies "
                      "[14,8]"));
}

TEST_F(ModelFolderTest, ATensorThatIsMissingIsRefused) {
  tensors_.erase("model.layers.1.post_attention_layernorm.weight");
  EXPECT_THAT(ModelFolder::Open(Write(tensors_)),
              IsError(absl::StatusCode::kInvalidArgument,
                      AllOf(HasSubstr("model.layers.1.post_attention_layernorm.weight: not in"),
                            HasSubstr("shape [8]"))));
}

TEST_F(ModelFolderTest, AWeightThatIsNoFloatIsRefused) {
  tensors_[kDown].dtype = DType::kI16;
  EXPECT_THAT(
      ModelFolder::Open(Write(tensors_)),
      IsError(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr(kDown), HasSubstr("dtype I16"))));
}

TEST_F(ModelFolderTest, AnUnknownTensorOfALinearLayerIsRefused) {
  tensors_["model.layers.0.self_attn.q_proj.bias"] = {DType::kBF16, {8}, std::vector<uint8_t>(16)};
  EXPECT_THAT(ModelFolder::Open(Write(tensors_)),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("model.layers.0.self_attn.q_proj.bias: a linear layer of "
                                "LlamaForCausalLM")));
}

TEST_F(ModelFolderTest, ABlockPastTheLastIsRefused) {
  tensors_["model.layers.2.mlp.down_proj.weight"] = tensors_[kDown];
  EXPECT_THAT(ModelFolder::Open(Write(tensors_)),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("belongs to block 2 but config.json's num_hidden_layers is 2")));
}

TEST_F(ModelFolderTest, ATiedModelsSpareHeadIsPassedOver) {
  config_json_ = SmallConfigJson(R"({"tie_word_embeddings": true})");
  EXPECT_THAT(ModelFolder::Open(Write(tensors_)), IsOk());
}

TEST_F(ModelFolderTest, ATruncatedFileIsRefused) {
  Write(tensors_);
  std::filesystem::resize_file(folder_.File("model.safetensors"), 1500);
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("model.safetensors")));
}

TEST_F(ModelFolderTest, AnIndexThatNamesAPathIsRefused) {
  WriteSharded();
  for (const char* name : {"../x.safetensors", "/etc/passwd", "a/b", "..", ""}) {
    nlohmann::json map = index_["weight_map"];
    map[kDown] = name;
    nlohmann::json kept = index_;
    WriteIndex(map);
    EXPECT_THAT(ModelFolder::Open(folder_.path()),
                IsError(absl::StatusCode::kInvalidArgument,
                        AllOf(HasSubstr(kDown), HasSubstr("not a plain file name"))));
    index_ = kept;
  }
}

TEST_F(ModelFolderTest, AnIndexThatNamesAMissingShardIsNotFound) {
  WriteSharded();
  std::filesystem::remove(folder_.File("model-00002-of-00002.safetensors"));
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kNotFound, HasSubstr("model-00002-of-00002.safetensors")));
}

TEST_F(ModelFolderTest, AnIndexThatNamesATensorItsShardLacksIsRefused) {
  WriteSharded();
  nlohmann::json map = index_["weight_map"];
  map[kDown] = "model-00001-of-00002.safetensors";
  WriteIndex(map);
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kInvalidArgument,
                      AllOf(HasSubstr(kDown), HasSubstr("not in model-00001-of-00002"))));
}

TEST_F(ModelFolderTest, AnIndexWithoutAMapIsRefused) {
  WriteSharded();
  WriteText(folder_.File("model.safetensors.index.json"), "{\"weight_map\": [1]}");
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("weight_map: an object")));
  WriteText(folder_.File("model.safetensors.index.json"), "{\"weight_map\": {\"a\": 1}}");
  EXPECT_THAT(ModelFolder::Open(folder_.path()),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a plain file name")));
}

TEST_F(ModelFolderTest, CompanionsAreTheTokenizerFilesThatAreThere) {
  WriteText(folder_.File("tokenizer.json"), "{}");
  WriteText(folder_.File("generation_config.json"), "{}");
  WriteText(folder_.File("training_args.bin"), "");
  const auto model = ModelFolder::Open(Write(tensors_));
  ASSERT_THAT(model, IsOk());
  EXPECT_THAT((*model)->CompanionFiles(), ElementsAre("tokenizer.json", "generation_config.json"));
}

TEST(RealModelsTest, AllSupportedOnesOpen) {
  EXPECT_THAT(ModelFolder::Open(DataPath("demo-llama")), IsOk());
  if (!HasShared("golden/arch")) GTEST_SKIP() << "needs the shared folder: golden/arch, models";
  for (const char* name : {"golden/arch/llama3-rope", "golden/arch/mistral-swa",
                           "golden/arch/qwen2-bias", "golden/arch/qwen3", "models/demo-llama"}) {
    EXPECT_THAT(ModelFolder::Open(SharedPath(name)), IsOk()) << name;
  }
  const auto bench = ModelFolder::Open(SharedPath("models/bench-llama"));
  ASSERT_THAT(bench, IsOk());
  EXPECT_EQ((*bench)->parameters(), 19'798'528);
  EXPECT_EQ((*bench)->weight_bytes(), 39'597'056);
}

}  // namespace
}  // namespace tern
