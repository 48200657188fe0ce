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

TEST(PackedConfigTest, WhatIsNeitherRotatedNorLowBitKeepsItsBytes) {
  const json quantization =
      json::parse(*PackedConfigJson(SmallConfigJson(), kFormat))["quantization_config"];
  EXPECT_EQ(quantization.dump(),
            R"({"format_version":1,"group_size":128,"method":"pt2llm","modules":{)"
            R"("mlp.down_proj":{"scheme":"ternary"},"mlp.gate_proj":{"scheme":"ternary"},)"
            R"("mlp.up_proj":{"scheme":"ternary"},"self_attn.k_proj":{"scheme":"ternary"},)"
            R"("self_attn.o_proj":{"scheme":"ternary"},"self_attn.q_proj":{"scheme":"ternary"},)"
            R"("self_attn.v_proj":{"scheme":"ternary"}},)"
            R"("modules_not_quantized":["model.embed_tokens","lm_head"],"permuted":true,)"
            R"("quant_method":"tern"})");
}

TEST(PackedConfigTest, SurvivesTheRoundTrip) {
  const auto packed = ParsePackedConfig(*PackedConfigJson(SmallConfigJson(), kFormat));
  ASSERT_THAT(packed, IsOk());
  EXPECT_EQ(packed->format.method, "pt2llm");
  EXPECT_EQ(packed->format.group_size, 128);
  EXPECT_TRUE(packed->format.permuted);
  EXPECT_EQ(json::parse(packed->source_config_json), json::parse(SmallConfigJson()));
}

PackedFormat LowBitFormat() {
  PackedFormat format = {"twla", 128, false};
  format.rotation = {RotationKind::kHadamard, RotationFactorization::kBalanced};
  format.activations = SomeActivations(2);
  return format;
}

TEST(PackedConfigTest, RotationAndActivationsSurviveTheRoundTripInVersion2) {
  const PackedFormat format = LowBitFormat();
  const auto text = PackedConfigJson(SmallConfigJson(), format);
  ASSERT_THAT(text, IsOk());
  const json quantization = json::parse(*text)["quantization_config"];
  EXPECT_EQ(quantization["format_version"], 2);
  EXPECT_EQ(quantization["rotation"],
            json::parse(R"({"kind": "hadamard", "factorization": "balanced"})"));
  EXPECT_EQ(quantization["activations"]["scheme"], "per_token_asymmetric");
  EXPECT_EQ(quantization["activations"]["blocks"][1]["bits"], 4);
  EXPECT_EQ(quantization["activations"]["blocks"][0]["clip"]["self_attn.o_proj"], 0.95);
  const auto packed = ParsePackedConfig(*text);
  ASSERT_THAT(packed, IsOk());
  EXPECT_EQ(packed->format.rotation, format.rotation);
  EXPECT_EQ(packed->format.activations, format.activations);
}

TEST(PackedConfigTest, EitherRotationOrActivationsMakeItVersion2AndNeitherVersion1) {
  PackedFormat rotated = {"twla", 128, false};
  rotated.rotation = {RotationKind::kKotms, RotationFactorization::kReleased};
  PackedFormat low_bit = {"twla", 128, false};
  low_bit.activations = SomeActivations(2);
  for (const PackedFormat& format : {rotated, low_bit}) {
    const json config = json::parse(*PackedConfigJson(SmallConfigJson(), format));
    EXPECT_EQ(config["quantization_config"]["format_version"], 2);
    const auto parsed = ParsePackedConfig(config.dump());
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(parsed->format.rotation, format.rotation);
    EXPECT_EQ(parsed->format.activations, format.activations);
  }
  const json plain = json::parse(*PackedConfigJson(SmallConfigJson(), {"twla", 128, false}));
  EXPECT_EQ(plain["quantization_config"]["format_version"], 1);
  EXPECT_FALSE(plain["quantization_config"].contains("rotation"));
  EXPECT_FALSE(plain["quantization_config"].contains("activations"));
}

TEST(PackedConfigTest, AFormatThatCouldNotBeReadIsNotWritten) {
  PackedFormat format = LowBitFormat();
  format.activations.pop_back();
  EXPECT_THAT(PackedConfigJson(SmallConfigJson(), format),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("activations: blocks: 1 ")));
  format = LowBitFormat();
  format.activations[1].clip.erase(LinearKind::kUp);
  EXPECT_THAT(PackedConfigJson(SmallConfigJson(), format),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("mlp.up_proj: missing")));
  format = LowBitFormat();
  format.activations[1].bits = 16;
  EXPECT_THAT(PackedConfigJson(SmallConfigJson(), format),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("bits: 16 is not within")));
}

TEST(ActivationsSummaryTest, IsOverBlocksAndLayers) {
  const ActivationsSummary summary = Summarize(SomeActivations(3));  // 2, 4 and 6 bits
  EXPECT_EQ(summary.least_bits, 2);
  EXPECT_EQ(summary.most_bits, 6);
  EXPECT_EQ(summary.average_bits, 4);
  EXPECT_EQ(summary.most_clip, 1);
  EXPECT_NEAR(summary.least_clip, 0.85, 1e-12);
}

TEST(PackedConfigTest, ASourceThatIsQuantizedIsRefused) {
  const auto packed = PackedConfigJson(SmallConfigJson(), kFormat);
  EXPECT_THAT(PackedConfigJson(*packed, kFormat),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("Tern checkpoint already")));
}

class BadPackedConfigTest : public ::testing::Test {
 protected:
  // The packed config with a merge patch on its quantization_config.
  void ExpectRefused(const std::string& patch, const std::string& message,
                     const PackedFormat& format = kFormat) {
    json config = json::parse(*PackedConfigJson(SmallConfigJson(), format));
    config["quantization_config"].merge_patch(json::parse(patch));
    EXPECT_THAT(ParsePackedConfig(config.dump()),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
};

TEST_F(BadPackedConfigTest, IsRefusedByTheFieldAtFault) {
  ExpectRefused(R"({"quant_method": "gptq"})", "quantization_config: quant_method");
  ExpectRefused(R"({"format_version": 3})", "format_version: 3, but this build reads 1 and 2");
  ExpectRefused(R"({"format_version": null})", "format_version: missing");
  ExpectRefused(R"({"method": 7})", "method: a name is expected");
  ExpectRefused(R"({"group_size": 0})", "group_size: 0 is not within");
  ExpectRefused(R"({"group_size": 9223372036854775807})", "group_size");
  ExpectRefused(R"({"permuted": 1})", "permuted: true or false is expected");
  ExpectRefused(R"({"modules": {"mlp.down_proj": {"scheme": "rotated"}}})", "modules: this build");
  ExpectRefused(R"({"modules": null})", "modules");
}

TEST_F(BadPackedConfigTest, ARotationIsRefusedByTheFieldAtFault) {
  const auto refused = [&](const std::string& rotation, const std::string& message) {
    ExpectRefused(R"({"rotation": )" + rotation + "}", "quantization_config: rotation: " + message,
                  LowBitFormat());
  };
  refused("3", "an object is expected");
  refused("[]", "an object is expected");
  refused(R"({"kind": "givens"})", R"(kind: "kotms" or "hadamard" is expected)");
  refused(R"({"kind": null})", R"(kind: "kotms" or "hadamard" is expected)");
  refused(R"({"factorization": 2})", R"(factorization: "released" or "balanced" is expected)");
}

TEST_F(BadPackedConfigTest, ActivationsAreRefusedByTheFieldAtFault) {
  const auto refused = [&](const std::string& activations, const std::string& message) {
    ExpectRefused(R"({"activations": )" + activations + "}",
                  "quantization_config: activations: " + message, LowBitFormat());
  };
  const auto first_block = [&](const std::string& patch) {
    json blocks = ActivationsJson(SomeActivations(2))["blocks"];
    blocks[0].merge_patch(json::parse(patch));
    return json({{"blocks", blocks}}).dump();
  };
  refused("true", "an object is expected");
  refused(R"({"scheme": "per_tensor"})", R"(scheme: "per_token_asymmetric" is expected)");
  refused(R"({"blocks": {}})", "blocks: a list is expected");
  refused(R"({"blocks": []})", "blocks: 0 entries, but the model has 2 blocks");
  refused(R"({"blocks": [1, 2]})", "blocks[0]: an object is expected");
  refused(first_block(R"({"bits": null})"), "blocks[0]: bits: missing");
  refused(first_block(R"({"bits": 5})"), "blocks[0]: bits: 5 is not one of 2, 4, 6, 8");
  refused(first_block(R"({"bits": 1})"), "blocks[0]: bits: 1 is not within");
  refused(first_block(R"({"bits": 4.0})"), "blocks[0]: bits: ");
  refused(first_block(R"({"clip": null})"), "blocks[0]: clip: an object is expected");
  refused(first_block(R"({"clip": {"mlp.up_proj": null}})"),
          "blocks[0]: clip: mlp.up_proj: missing");
  refused(first_block(R"({"clip": {"mlp.up_proj": 0}})"),
          "blocks[0]: clip: mlp.up_proj: 0 is not above 0");
  refused(first_block(R"({"clip": {"mlp.up_proj": 1.01}})"),
          "blocks[0]: clip: mlp.up_proj: 1.01 is not above 0");
  refused(first_block(R"({"clip": {"mlp.up_proj": "1"}})"),
          "blocks[0]: clip: mlp.up_proj: a number is expected");
  refused(first_block(R"({"clip": {"lm_head": 1}})"),
          "blocks[0]: clip: no linear layer of a block is lm_head");
}

TEST_F(BadPackedConfigTest, Version1HasNeitherRotationNorActivations) {
  ExpectRefused(R"({"rotation": {"kind": "kotms", "factorization": "released"}})",
                "rotation: not in format_version 1");
  ExpectRefused(R"({"activations": {}})", "activations: not in format_version 1");
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

TEST(PackedIndexTest, RotationsAreListedAndTheirFactorsCounted) {
  const TempDir folder;
  WriteModel(folder.path(), SmallConfigJson(), DType::kBF16);
  const auto model = ModelFolder::Open(folder.path());
  ASSERT_THAT(model, IsOk());
  const PackedFormat plain = {"twla", 5, false};
  PackedFormat rotated = plain;
  rotated.rotation = {RotationKind::kKotms, RotationFactorization::kBalanced};
  const json before = json::parse(*PackedIndexJson(**model, plain));
  const json after = json::parse(*PackedIndexJson(**model, rotated));
  EXPECT_EQ(after["weight_map"].size(), before["weight_map"].size() + 2 * 7 * 2);
  EXPECT_EQ(after["weight_map"]["model.layers.1.mlp.down_proj.rot2"],
            "tern-block-00001.safetensors");
  // 8 columns are 4 × 2, 12 are 4 × 3.
  const int64_t factors = 2 * (6 * (16 + 4) + (16 + 9));
  EXPECT_EQ(after["metadata"]["total_size"].get<int64_t>(),
            before["metadata"]["total_size"].get<int64_t>() + 2 * factors);
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
