#include "checkpoint/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "checkpoint/atomic_file.h"
#include "checkpoint/strict_json.h"
#include "tests/shared_data.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

auto Parse(const std::string& overrides) { return ParseModelConfig(SmallConfigJson(overrides)); }

// Expects the small config with `overrides` to be refused with a message that holds `message`.
void ExpectRefused(const std::string& overrides, const std::string& message) {
  EXPECT_THAT(Parse(overrides), IsError(absl::StatusCode::kInvalidArgument,
                                        AllOf(HasSubstr("config.json: "), HasSubstr(message))))
      << overrides;
}

ModelConfig Config(const std::string& overrides) {
  const auto config = Parse(overrides);
  EXPECT_THAT(config, IsOk());
  return config.value_or(ModelConfig{});
}

TEST(ModelConfigTest, ALlamaIsRead) {
  const ModelConfig config = Config("{}");
  EXPECT_EQ(config.architecture, Architecture::kLlama);
  EXPECT_EQ(config.architecture_name, "LlamaForCausalLM");
  EXPECT_EQ(config.hidden_size, 8);
  EXPECT_EQ(config.intermediate_size, 12);
  EXPECT_EQ(config.num_blocks, 2);
  EXPECT_EQ(config.num_heads, 2);
  EXPECT_EQ(config.num_kv_heads, 1);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_EQ(config.vocab_size, 16);
  EXPECT_EQ(config.max_positions, 64);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_FALSE(config.attention_bias || config.output_bias || config.mlp_bias || config.qk_norm);
  EXPECT_EQ(config.rope.type, RopeConfig::Type::kDefault);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_THAT(config.sliding_window, ElementsAre(0, 0));
}

TEST(ModelConfigTest, NullAndAbsentHeadCountsAreDerived) {
  EXPECT_EQ(Config(R"({"num_key_value_heads": null})").num_kv_heads, 2);
  const auto config = ParseModelConfig(
      R"({"architectures": ["MistralForCausalLM"], "hidden_size": 8, "intermediate_size": 12,
          "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 16,
          "max_position_embeddings": 64, "head_dim": null, "sliding_window": null})");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->head_dim, 4);
}

TEST(ModelConfigTest, HeadDimMayDifferFromHiddenOverHeads) {
  EXPECT_EQ(Config(R"({"head_dim": 32})").head_dim, 32);
  EXPECT_EQ(
      Config(R"({"head_dim": 32, "num_attention_heads": 3, "num_key_value_heads": 3})").head_dim,
      32);
}

TEST(ModelConfigTest, LlamaBiasesCoverTheOutputProjection) {
  const ModelConfig config = Config(R"({"attention_bias": true, "mlp_bias": true})");
  EXPECT_TRUE(config.attention_bias && config.output_bias && config.mlp_bias);
}

TEST(ModelConfigTest, Qwen2HasBiasesOnQueryKeyAndValueAlways) {
  const ModelConfig config = Config(R"({"architectures": ["Qwen2ForCausalLM"]})");
  EXPECT_TRUE(config.attention_bias);
  EXPECT_FALSE(config.output_bias || config.mlp_bias || config.qk_norm);
}

TEST(ModelConfigTest, Qwen3HasQueryAndKeyNormsAndHeadsOf128UnlessSaid) {
  const ModelConfig config = Config(R"({"architectures": ["Qwen3ForCausalLM"]})");
  EXPECT_TRUE(config.qk_norm);
  EXPECT_FALSE(config.attention_bias || config.output_bias);
  EXPECT_EQ(config.head_dim, 128);
  const ModelConfig with =
      Config(R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": true, "head_dim": 6})");
  EXPECT_TRUE(with.attention_bias && with.output_bias);
  EXPECT_EQ(with.head_dim, 6);
}

TEST(ModelConfigTest, MistralSlidesInAllBlocks) {
  EXPECT_THAT(
      Config(R"({"architectures": ["MistralForCausalLM"], "sliding_window": 24})").sliding_window,
      ElementsAre(24, 24));
  EXPECT_THAT(Config(R"({"architectures": ["MistralForCausalLM"]})").sliding_window,
              ElementsAre(4096, 4096));
  const auto none = ParseModelConfig(
      R"({"architectures": ["MistralForCausalLM"], "hidden_size": 8, "intermediate_size": 12,
          "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 16,
          "max_position_embeddings": 64, "sliding_window": null})");
  ASSERT_THAT(none, IsOk());
  EXPECT_THAT(none->sliding_window, ElementsAre(0, 0));
}

TEST(ModelConfigTest, LlamaNeverSlides) {
  EXPECT_THAT(Config(R"({"sliding_window": 24})").sliding_window, Each(0));
}

TEST(ModelConfigTest, QwenSlidesFromMaxWindowLayersOn) {
  EXPECT_THAT(Config(R"({"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true,
                         "sliding_window": 24, "max_window_layers": 1})")
                  .sliding_window,
              ElementsAre(0, 24));
  EXPECT_THAT(Config(R"({"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": false,
                         "sliding_window": 24, "max_window_layers": 0})")
                  .sliding_window,
              ElementsAre(0, 0));
}

TEST(ModelConfigTest, QwensLayerTypesDecideWhereGiven) {
  EXPECT_THAT(Config(R"({"architectures": ["Qwen3ForCausalLM"], "use_sliding_window": true,
                         "sliding_window": 24, "max_window_layers": 0,
                         "layer_types": ["sliding_attention", "full_attention"]})")
                  .sliding_window,
              ElementsAre(24, 0));
  ExpectRefused(R"({"architectures": ["Qwen3ForCausalLM"], "layer_types": ["full_attention"]})",
                "layer_types: a list of num_hidden_layers 2 names");
  ExpectRefused(R"({"architectures": ["Qwen3ForCausalLM"],
                    "layer_types": ["full_attention", "linear_attention"]})",
                "layer_types: \\\"linear_attention\\\" is not supported");
  ExpectRefused(R"({"architectures": ["Qwen3ForCausalLM"],
                    "layer_types": ["full_attention", "sliding_attention"]})",
                "needs use_sliding_window");
}

TEST(ModelConfigTest, RopeIsReadInTheOldSpelling) {
  EXPECT_EQ(Config(R"({"rope_theta": 500000.0})").rope.theta, 500000.0);
  const RopeConfig linear =
      Config(R"({"rope_theta": 1e6, "rope_scaling": {"type": "linear", "factor": 2.0}})").rope;
  EXPECT_EQ(linear.type, RopeConfig::Type::kLinear);
  EXPECT_EQ(linear.theta, 1e6);
  EXPECT_EQ(linear.factor, 2.0);
}

TEST(ModelConfigTest, RopeIsReadInTheNewSpelling) {
  const RopeConfig rope = Config(R"({"rope_parameters": {
      "rope_type": "llama3", "rope_theta": 500000, "factor": 8, "low_freq_factor": 1,
      "high_freq_factor": 4, "original_max_position_embeddings": 32}})")
                              .rope;
  EXPECT_EQ(rope.type, RopeConfig::Type::kLlama3);
  EXPECT_EQ(rope.theta, 500000.0);
  EXPECT_EQ(rope.factor, 8.0);
  EXPECT_EQ(rope.low_freq_factor, 1.0);
  EXPECT_EQ(rope.high_freq_factor, 4.0);
  EXPECT_EQ(rope.original_max_position, 32);
}

TEST(ModelConfigTest, OtherRopeTypesAreRefusedWithThoseSupported) {
  for (const char* type : {"yarn", "dynamic", "longrope"}) {
    ExpectRefused(
        std::string(R"({"rope_scaling": {"rope_type": ")") + type + R"(", "factor": 2.0}})",
        "is not supported; supported are default, linear, llama3");
  }
}

TEST(ModelConfigTest, RopeValuesThatMakeNoSenseAreRefused) {
  ExpectRefused(R"({"rope_theta": 0})", "rope_theta");
  ExpectRefused(R"({"rope_theta": "big"})", "rope_theta: a number is expected");
  ExpectRefused(R"({"rope_scaling": {"type": "linear"}})", "rope_scaling: factor: missing");
  ExpectRefused(R"({"rope_scaling": {"type": "linear", "factor": 0.5}})", "less than 1");
  ExpectRefused(R"({"rope_scaling": 2})", "rope_scaling: an object is expected");
  ExpectRefused(R"({"rope_parameters": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                    "high_freq_factor": 4, "original_max_position_embeddings": 32}})",
                "high_freq_factor");
  ExpectRefused(R"({"rope_parameters": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
                    "high_freq_factor": 4, "original_max_position_embeddings": 0}})",
                "original_max_position_embeddings");
  ExpectRefused(R"({"rope_scaling": {"type": "linear", "factor": 2},
                    "rope_parameters": {"rope_type": "default"}})",
                "rope_scaling: given beside rope_parameters");
  ExpectRefused(R"({"rope_parameters": {"full_attention": {}}})", "per layer type");
  ExpectRefused(R"({"rope_parameters": {"partial_rotary_factor": 0.5}})", "partial_rotary_factor");
  ExpectRefused(R"({"partial_rotary_factor": 0.5})", "partial_rotary_factor");
}

TEST(ModelConfigTest, TokenIdsMayBeAListOfWhichTheFirstCounts) {
  const ModelConfig config = Config(R"({"bos_token_id": 1, "eos_token_id": [2, 3]})");
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.eos_token_id, 2);
  EXPECT_FALSE(Config("{}").bos_token_id.has_value());
  ExpectRefused(R"({"bos_token_id": 16})", "bos_token_id: 16 is not within 0 to 15");
  ExpectRefused(R"({"eos_token_id": -1})", "eos_token_id");
}

TEST(ModelConfigTest, AnUnknownArchitectureIsRefusedWithThoseSupported) {
  ExpectRefused(R"({"architectures": ["MixtralForCausalLM"]})",
                "\"MixtralForCausalLM\" is not supported; supported are LlamaForCausalLM, "
                "MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM");
  ExpectRefused(R"({"architectures": null})", "architectures: a list of one name is expected");
  ExpectRefused(R"({"architectures": []})", "LlamaForCausalLM");
  ExpectRefused(R"({"architectures": "LlamaForCausalLM"})", "a list of one name");
}

TEST(ModelConfigTest, AQuantizedModelIsRefused) {
  ExpectRefused(R"({"quantization_config": {"quant_method": "gptq"}})",
                "quantization_config: the model is quantized already (gptq)");
  ExpectRefused(R"({"quantization_config": {"quant_method": "tern"}})",
                "this is a Tern checkpoint already");
  ExpectRefused(R"({"quantization_config": {}})", "quantized already; submit");
}

TEST(ModelConfigTest, OtherActivationsAreRefused) {
  ExpectRefused(R"({"hidden_act": "gelu"})", "hidden_act");
  ExpectRefused(R"({"hidden_act": 3})", "supported is \"silu\"");
}

TEST(ModelConfigTest, SizesThatAreMissingAreRefusedByName) {
  for (const char* field : {"hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "vocab_size", "max_position_embeddings"}) {
    ExpectRefused(std::string("{\"") + field + "\": null}", std::string(field) + ": missing");
  }
}

TEST(ModelConfigTest, SizesThatAreAbsurdAreRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"hidden_size", "131073"},     {"intermediate_size", "1048577"},
      {"num_hidden_layers", "1001"}, {"num_attention_heads", "4097"},
      {"vocab_size", "4194305"},     {"max_position_embeddings", "1073741825"},
      {"head_dim", "4098"},          {"num_key_value_heads", "4097"}};
  for (const auto& [field, large] : cases) {
    for (const std::string value : {"0", "-4", "8.0", "\"8\"", "true", "9223372036854775808",
                                    "18446744073709551616", "1e400", large}) {
      const std::string text = "{\"" + std::string(field) + "\": " + value + "," +
                               SmallConfigJson(std::string("{\"") + field + "\": null}").substr(1);
      EXPECT_THAT(ParseModelConfig(text),
                  IsError(absl::StatusCode::kInvalidArgument,
                          value == "1e400" ? HasSubstr("config.json") : HasSubstr(field)))
          << text;
    }
  }
}

TEST(ModelConfigTest, HeadsMustDivide) {
  ExpectRefused(R"({"num_attention_heads": 3, "num_key_value_heads": 3})",
                "num_attention_heads: 3 does not divide hidden_size 8");
  ExpectRefused(R"({"num_attention_heads": 4, "num_key_value_heads": 3})",
                "num_key_value_heads: 3 does not divide num_attention_heads 4");
  ExpectRefused(R"({"head_dim": 5})", "head_dim: 5 is odd");
  ExpectRefused(R"({"head_dim": 4096, "num_attention_heads": 4096, "num_key_value_heads": 1})",
                "head_dim");
}

TEST(ModelConfigTest, FlagsMustBeBooleansAndEpsilonsNumbers) {
  ExpectRefused(R"({"attention_bias": 1})", "attention_bias: true or false is expected");
  ExpectRefused(R"({"tie_word_embeddings": "yes"})", "tie_word_embeddings");
  ExpectRefused(R"({"rms_norm_eps": 0})", "rms_norm_eps");
  ExpectRefused(R"({"rms_norm_eps": -1e-5})", "rms_norm_eps");
  ExpectRefused(R"({"rms_norm_eps": "x"})", "rms_norm_eps: a number is expected");
}

TEST(ModelConfigTest, TheDemoModelsConfigIsRead) {
  const auto text = ReadFile(DataPath("demo-llama/config.json"), kMaxJsonFileBytes);
  ASSERT_THAT(text, IsOk());
  const auto config = ParseModelConfig(*text);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->hidden_size, 192);
  EXPECT_EQ(config->num_kv_heads, 3);
  EXPECT_TRUE(config->tied_embeddings);
}

class GoldenConfigTest : public ::testing::TestWithParam<std::pair<const char*, bool>> {};

TEST_P(GoldenConfigTest, IsReadIfItsArchitectureIsSupported) {
  if (!HasShared("golden/arch")) GTEST_SKIP() << "needs the shared folder: golden/arch";
  const auto& [name, supported] = GetParam();
  const auto text =
      ReadFile(SharedPath(std::string("golden/arch/") + name + "/config.json"), kMaxJsonFileBytes);
  ASSERT_THAT(text, IsOk());
  const auto config = ParseModelConfig(*text);
  if (supported) {
    ASSERT_THAT(config, IsOk());
    EXPECT_EQ(config->hidden_size, 64);
  } else {
    EXPECT_THAT(config, IsError(absl::StatusCode::kInvalidArgument, HasSubstr("Qwen3ForCausalLM")));
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenConfigTest,
                         ::testing::Values(std::pair("llama3-rope", true),
                                           std::pair("mistral-swa", true),
                                           std::pair("qwen2-bias", true), std::pair("qwen3", true),
                                           std::pair("mixtral", false),
                                           std::pair("qwen3-moe", false), std::pair("phi3", false),
                                           std::pair("gemma3", false)));

}  // namespace
}  // namespace tern
