#include "worker/agent/local_evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/model_folder.h"
#include "checkpoint/packed_checkpoint.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"
#include "worker/backend/device.h"

namespace tern {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class LocalEvaluationTest : public testing::Test {
 protected:
  LocalEvaluationTest() : backend_(*CreateBackend("cpu", 2)) {
    evaluation_.checkpoint = DataPath("demo-llama");
    evaluation_.text = DataPath("sampled.txt");
    evaluation_.window = 64;
    evaluation_.windows = 4;
  }

  absl::StatusOr<std::string> Evaluate() {
    return EvaluateLocally(*backend_, evaluation_, [](double) {});
  }

  std::unique_ptr<Backend> backend_;
  LocalEvaluation evaluation_;
};

TEST_F(LocalEvaluationTest, MeasuresAModelFolder) {
  const auto text = Evaluate();
  ASSERT_THAT(text, IsOk());
  const json result = json::parse(*text);
  EXPECT_EQ(result.at("tokens"), 4 * 63);
  // The model was trained on English; a uniform guess over its 2,048 ids would be 2,048.
  EXPECT_LT(result.at("perplexity").get<double>(), 200);
  EXPECT_FALSE(result.contains("kl_divergence"));
}

TEST_F(LocalEvaluationTest, AModelAgainstItselfHasNoDivergence) {
  evaluation_.against = evaluation_.checkpoint;
  const auto text = Evaluate();
  ASSERT_THAT(text, IsOk());
  const json result = json::parse(*text);
  EXPECT_EQ(result.at("perplexity"), result.at("full_precision"));
  // Float32 logits are equal bit for bit, so this is zero up to the softmax's rounding.
  EXPECT_NEAR(result.at("kl_divergence").get<double>(), 0, 1e-9);
}

TEST_F(LocalEvaluationTest, MeasuresAPackedCheckpointAgainstItsModel) {
  const auto model = ModelFolder::Open(DataPath("demo-llama"));
  ASSERT_THAT(model, IsOk());
  TempDir packed;
  WritePacked(**model, {.method = "pt2llm", .group_size = 128, .permuted = true}, packed.path());
  evaluation_.checkpoint = packed.path();
  evaluation_.against = DataPath("demo-llama");
  const auto text = Evaluate();
  ASSERT_THAT(text, IsOk());
  const json result = json::parse(*text);
  // Layers of random trits predict worse than the model does.
  EXPECT_GT(result.at("perplexity").get<double>(), result.at("full_precision").get<double>());
  EXPECT_GT(result.at("kl_divergence").get<double>(), 0);
}

TEST_F(LocalEvaluationTest, WindowsAreNoLongerThanTheModelsContext) {
  evaluation_.checkpoint = DataPath("demo-llama");
  evaluation_.window = 513;
  EXPECT_THAT(Evaluate().status(),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("--window: is 513; the model's longest context is 512")));
}

TEST_F(LocalEvaluationTest, ADamagedPackedCheckpointIsRefusedAsVerifyDoes) {
  const auto model = ModelFolder::Open(DataPath("demo-llama"));
  ASSERT_THAT(model, IsOk());
  TempDir packed;
  WritePacked(**model, {.method = "pt2llm", .group_size = 128, .permuted = true}, packed.path());
  // A bit of a weight, which leaves it a number.
  std::fstream file(packed.File(kUnquantizedFile), std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-2, std::ios::end);
  const auto byte = static_cast<char>(file.get() ^ 1);
  file.seekp(-2, std::ios::end);
  file.put(byte);
  file.close();
  const absl::Status damage = (*PackedCheckpoint::Open(packed.path()))->Verify();
  ASSERT_THAT(damage, IsError(absl::StatusCode::kDataLoss, HasSubstr(kUnquantizedFile)));
  evaluation_.checkpoint = packed.path();
  EXPECT_EQ(Evaluate().status(), damage);
  evaluation_.checkpoint = DataPath("demo-llama");
  evaluation_.against = packed.path();
  EXPECT_EQ(Evaluate().status(), damage);
}

TEST_F(LocalEvaluationTest, LowBitActivationsAreThoseOfTheCheckpoint) {
  const auto model = ModelFolder::Open(DataPath("demo-llama"));
  ASSERT_THAT(model, IsOk());
  PackedFormat format = {.method = "twla", .group_size = 128, .permuted = false};
  format.rotation = {RotationKind::kHadamard, RotationFactorization::kBalanced};
  TempDir sixteen, low_bit;
  WritePacked(**model, format, sixteen.path());
  format.activations = SomeActivations((*model)->config().num_blocks);
  WritePacked(**model, format, low_bit.path());
  evaluation_.checkpoint = sixteen.path();
  const json with_sixteen = json::parse(*Evaluate());
  evaluation_.checkpoint = low_bit.path();
  const json with_low_bit = json::parse(*Evaluate());
  EXPECT_FALSE(with_sixteen.contains("activation_bits"));
  EXPECT_EQ(with_low_bit.at("activation_bits"), Summarize(format.activations).average_bits);
  EXPECT_NE(with_low_bit.at("perplexity"), with_sixteen.at("perplexity"));
}

TEST_F(LocalEvaluationTest, AModelThatThisWasNotMadeFromIsRefused) {
  TempDir other;
  WriteModel(other.path(), SmallConfigJson(), DType::kBF16);
  evaluation_.against = other.path();
  EXPECT_THAT(Evaluate(),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("model.embed_tokens.weight")));
}

TEST_F(LocalEvaluationTest, TooLittleTextIsAnErrorThatSaysSo) {
  evaluation_.windows = 1'000'000;
  EXPECT_THAT(Evaluate(), IsError(absl::StatusCode::kInvalidArgument, testing::_));
}

TEST_F(LocalEvaluationTest, AMissingFolderIsNotFound) {
  evaluation_.checkpoint = DataPath("missing");
  EXPECT_THAT(Evaluate(), IsError(absl::StatusCode::kNotFound, HasSubstr("missing")));
}

}  // namespace
}  // namespace tern
