#include "worker/model/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/model/demo_model.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

constexpr int64_t kLength = 24;
constexpr int64_t kWindows = 5;

class EvaluationTest : public testing::Test {
 protected:
  EvaluationSums Run(const EvaluatedModels& models, const EvaluationOptions& options = {}) {
    const auto sums = Evaluate(*backend_, models, {ids_, kLength}, options);
    EXPECT_TRUE(sums.ok()) << sums.status();
    return *sums;
  }

  // Logits [tokens, vocab] of all windows at once, in double.
  std::vector<double> Logits(const WeightSource& source) {
    const Tensor h = EmbedTokens(*backend_, source, ids_).value();
    for (int64_t block = 0; block < config_.num_blocks; ++block) {
      TransformerBlock transformer =
          TransformerBlock::Create(*backend_, config_, block, kLength).value();
      EXPECT_TRUE(transformer.Forward(source.Block(*backend_, block).value(), h).ok());
    }
    LanguageHead head = LanguageHead::Load(*backend_, source).value();
    const Tensor logits =
        backend_->Allocate(ElementType::kF32, h.rows(), head.vocab_size()).value();
    EXPECT_TRUE(head.Logits(h, logits).ok());
    const std::vector<float> values = DownloadFloats(*backend_, logits);
    return {values.begin(), values.end()};
  }

  std::vector<double> LogSoftmax(const std::vector<double>& logits, int64_t row) const {
    std::vector<double> result(logits.begin() + row * config_.vocab_size,
                               logits.begin() + (row + 1) * config_.vocab_size);
    double sum = 0;
    for (const double value : result) sum += std::exp(value);
    for (double& value : result) value -= std::log(sum);
    return result;
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
  const std::unique_ptr<ModelFolder> model_ = OpenDemo();
  const ModelConfig& config_ = model_->config();
  const std::vector<int32_t> ids_ = SomeTokens(kWindows * kLength, config_.vocab_size);
  const std::unique_ptr<WeightSource> full_ = FullPrecisionWeights(*model_);
  const std::unique_ptr<WeightSource> quantized_ = QuantizedWeights(
      *model_,
      [layers = CyclingLayers(config_)](int64_t) { return absl::StatusOr<BlockLayers>(layers); });
};

TEST_F(EvaluationTest, SumsLossesAndDivergencesOverAllButTheLastPositionOfAWindow) {
  const std::vector<double> full = Logits(*full_), quantized = Logits(*quantized_);
  double nll_full = 0, nll_quantized = 0, kl = 0;
  for (int64_t row = 0; row < kWindows * kLength; ++row) {
    if (row % kLength == kLength - 1) continue;
    const std::vector<double> p = LogSoftmax(full, row), q = LogSoftmax(quantized, row);
    nll_full -= p[ids_[row + 1]];
    nll_quantized -= q[ids_[row + 1]];
    for (size_t i = 0; i < p.size(); ++i) kl += std::exp(p[i]) * (p[i] - q[i]);
  }
  const EvaluationSums sums = Run({.full = full_.get(), .quantized = quantized_.get()});
  EXPECT_EQ(sums.tokens, kWindows * (kLength - 1));
  // The same float32 logits; exponentials in float32 on one side.
  EXPECT_NEAR(sums.nll_full, nll_full, 1e-6 * nll_full);
  EXPECT_NEAR(sums.nll_quantized, nll_quantized, 1e-6 * nll_quantized);
  EXPECT_NEAR(sums.kl, kl, 1e-6 * kl);
  EXPECT_GT(kl, 1.0);
}

TEST_F(EvaluationTest, OneStreamAloneGivesTheSameBits) {
  const EvaluationSums both = Run({.full = full_.get(), .quantized = quantized_.get()});
  const EvaluationSums full = Run({.full = full_.get()});
  const EvaluationSums quantized = Run({.quantized = quantized_.get()});
  EXPECT_EQ(full.nll_full, both.nll_full);
  EXPECT_EQ(full.nll_quantized, 0);
  EXPECT_EQ(full.kl, 0);
  EXPECT_EQ(quantized.nll_quantized, both.nll_quantized);
  EXPECT_EQ(quantized.nll_full, 0);
}

TEST_F(EvaluationTest, SumsDoNotDependOnHowManyWindowsAPassTakes) {
  if (!RowsAreIndependent(*backend_)) GTEST_SKIP() << "holds on the CPU only";
  const EvaluatedModels models = {.full = full_.get(), .quantized = quantized_.get()};
  const EvaluationSums one_pass = Run(models);
  const EvaluationSums passes = Run(models, {.hidden_state_bytes = 1});
  EXPECT_EQ(passes.tokens, one_pass.tokens);
  EXPECT_EQ(passes.nll_full, one_pass.nll_full);
  EXPECT_EQ(passes.nll_quantized, one_pass.nll_quantized);
  EXPECT_EQ(passes.kl, one_pass.kl);
}

TEST_F(EvaluationTest, DivergenceOfAModelFromItselfIsZero) {
  EXPECT_EQ(Run({.full = full_.get(), .quantized = full_.get()}).kl, 0);
}

TEST_F(EvaluationTest, ProgressEndsAtItsTotal) {
  std::vector<std::pair<int64_t, int64_t>> calls;
  Run({.full = full_.get(), .quantized = quantized_.get()},
      {.hidden_state_bytes = 1,
       .progress = [&](int64_t done, int64_t total) { calls.emplace_back(done, total); }});
  ASSERT_FALSE(calls.empty());
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  EXPECT_EQ(calls.back().first, calls.back().second);
}

TEST_F(EvaluationTest, CancellingEndsIt) {
  int checks = 0;
  const auto sums = Evaluate(*backend_, {.full = full_.get()}, {ids_, kLength},
                             {.cancelled = [&] { return ++checks == 3; }});
  EXPECT_EQ(sums.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(checks, 3);
}

TEST_F(EvaluationTest, TokensThatAreNotWholeWindowsAreRefused) {
  for (const int64_t length : {0, 1, 7}) {
    const auto sums = Evaluate(*backend_, {.full = full_.get()}, {ids_, length}, {});
    EXPECT_EQ(sums.status().code(), absl::StatusCode::kInvalidArgument) << length;
  }
}

TEST_F(EvaluationTest, NoModelAtAllIsRefused) {
  EXPECT_EQ(Evaluate(*backend_, {}, {ids_, kLength}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tern
