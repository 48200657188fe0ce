#include "checkpoint/packed_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const PackedFormat kFormat = {"pt2llm", 128, true};

TEST(PackedConfigTest, AddsWhatAReaderNeedsAndKeepsTheRest) {
  const auto text = PackedConfigJson(SmallConfigJson(), kFormat);
  ASSERT_THAT(text, IsOk());
  json config = json::parse(*text);
  const json quantization = config["quantization_config"];
  EXPECT_EQ(quantization["quant_method"], "tern");
  EXPECT_EQ(quantization["format_version"], 1);
  EXPECT_EQ(quantization["method"], "pt2llm");
  EXPECT_EQ(quantization["group_size"], 128);
  EXPECT_EQ(quantization["permuted"], true);
  EXPECT_EQ(quantization["modules"].size(), 7U);
  EXPECT_EQ(quantization["modules"]["mlp.down_proj"], json({{"scheme", "ternary"}}));
  EXPECT_EQ(quantization["modules_not_quantized"], json({"model.embed_tokens", "lm_head"}));
  config.erase("quantization_config");
  EXPECT_EQ(config, json::parse(SmallConfigJson()));
}

TEST(PackedConfigTest, SurvivesTheRoundTrip) {
  const auto packed = ParsePackedConfig(*PackedConfigJson(SmallConfigJson(), kFormat));
  ASSERT_THAT(packed, IsOk());
  EXPECT_EQ(packed->format.method, "pt2llm");
  EXPECT_EQ(packed->format.group_size, 128);
  EXPECT_TRUE(packed->format.permuted);
  EXPECT_EQ(json::parse(packed->source_config_json), json::parse(SmallConfigJson()));
}

TEST(PackedConfigTest, ASourceThatIsQuantizedIsRefused) {
  const auto packed = PackedConfigJson(SmallConfigJson(), kFormat);
  EXPECT_THAT(PackedConfigJson(*packed, kFormat),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("Tern checkpoint already")));
}

class BadPackedConfigTest : public ::testing::Test {
 protected:
  // The packed config with a merge patch on its quantization_config.
  void ExpectRefused(const std::string& patch, const std::string& message) {
    json config = json::parse(*PackedConfigJson(SmallConfigJson(), kFormat));
    config["quantization_config"].merge_patch(json::parse(patch));
    EXPECT_THAT(ParsePackedConfig(config.dump()),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
};

TEST_F(BadPackedConfigTest, IsRefusedByTheFieldAtFault) {
  ExpectRefused(R"({"quant_method": "gptq"})", "quantization_config: quant_method");
  ExpectRefused(R"({"format_version": 2})", "format_version: 2, but this build reads 1");
  ExpectRefused(R"({"format_version": null})", "format_version: missing");
  ExpectRefused(R"({"method": 7})", "method: a name is expected");
  ExpectRefused(R"({"group_size": 0})", "group_size: 0 is not within");
  ExpectRefused(R"({"group_size": 9223372036854775807})", "group_size");
  ExpectRefused(R"({"permuted": 1})", "permuted: true or false is expected");
  ExpectRefused(R"({"modules": {"mlp.down_proj": {"scheme": "rotated"}}})", "modules: this build");
  ExpectRefused(R"({"modules": null})", "modules");
}

TEST_F(BadPackedConfigTest, AConfigWithoutTheSectionIsNoTernCheckpoint) {
  EXPECT_THAT(ParsePackedConfig(SmallConfigJson()),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a Tern checkpoint")));
}

TEST(PackedIndexTest, NamesEveryTensorsFileAndAllBytes) {
  const TempDir folder;
  WriteModel(folder.path(), SmallConfigJson(), DType::kF32);
  const auto model = ModelFolder::Open(folder.path());
  ASSERT_THAT(model, IsOk());
  const auto text = PackedIndexJson(**model, {"pt2llm", 5, true});
  ASSERT_THAT(text, IsOk());
  const json index = json::parse(*text);
  const json& map = index["weight_map"];
  EXPECT_EQ(map.size(), 2U * (7 * 4 + 2) + 3);
  EXPECT_EQ(map["model.layers.1.mlp.down_proj.trits"], "tern-block-00001.safetensors");
  EXPECT_EQ(map["model.layers.0.input_layernorm.weight"], "tern-block-00000.safetensors");
  EXPECT_EQ(map["lm_head.weight"], "tern-unquantized.safetensors");
  // Per block: rows · (trit bytes + two fp16 a group) + perm of 4 bytes a column.
  const int64_t block = 8 * (2 + 8) + 32 + 2 * (4 * (2 + 8) + 32) + 8 * (2 + 8) + 32 +
                        2 * (12 * (2 + 8) + 32) + 8 * (3 + 12) + 48 + 2 * 8 * 4;
  EXPECT_EQ(index["metadata"]["total_size"], 2 * block + (2 * 128 + 8) * 4);
}

TEST(PackedIndexTest, WithoutPermutationNoneIsListed) {
  const ModelConfig config = *ParseModelConfig(SmallConfigJson());
  const auto map = PackedWeightMap(config, {"pt2llm", 128, false});
  EXPECT_EQ(map.count("model.layers.0.mlp.down_proj.perm"), 0U);
  EXPECT_EQ(map.count("model.layers.0.mlp.down_proj.mu"), 1U);
}

TEST(BlockFileNameTest, IsPaddedToFiveDigits) {
  EXPECT_EQ(BlockFileName(3), "tern-block-00003.safetensors");
}

}  // namespace
}  // namespace tern
