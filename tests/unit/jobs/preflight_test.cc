#include "server/jobs/preflight.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/shared_data.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

v1::QuantizationSpec Spec() {
  v1::QuantizationSpec spec;
  spec.mutable_pt2llm()->set_group_size(128);
  spec.mutable_pt2llm()->set_gptaq(0.25);
  spec.mutable_calibration()->set_samples(128);
  spec.mutable_calibration()->set_sequence_length(512);
  spec.set_shards(1);
  return spec;
}

class PreflightTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto model = ModelFolder::Open(DataPath("demo-llama"));
    ASSERT_THAT(model, IsOk());
    model_ = *std::move(model);
  }
  std::unique_ptr<ModelFolder> model_;
};

TEST_F(PreflightTest, TheQuantizedWeightsAreThoseOfTheLinearLayers) {
  // 4 blocks of q 192·192, k and v 96·192, o 192·192, gate, up and down 512·192.
  EXPECT_EQ(QuantizedParameters(model_->config()),
            4 * (2 * 192 * 192 + 2 * 96 * 192 + 3 * 512 * 192));
}

TEST_F(PreflightTest, MemoryGrowsWithTheCalibrationTokens) {
  v1::QuantizationSpec spec = Spec();
  const int64_t before = EstimateWorkerMemory(spec, model_->config(), kCpuLayout);
  spec.mutable_calibration()->set_samples(256);
  // Two streams and the attention outputs, 192 floats each, of 65536 more tokens.
  EXPECT_EQ(EstimateWorkerMemory(spec, model_->config(), kCpuLayout) - before,
            int64_t{3} * 192 * 4 * 65536);
  spec.mutable_pt2llm()->set_gptaq(0);
  EXPECT_LT(EstimateWorkerMemory(spec, model_->config(), kCpuLayout),
            before + int64_t{3} * 192 * 4 * 65536);
}

TEST_F(PreflightTest, MemoryIsThatOfTheGreaterStage) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_calibration()->set_samples(1);
  const int64_t quantize = EstimateWorkerMemory(spec, model_->config(), kCpuLayout);
  spec.mutable_evaluation()->set_windows(100);
  spec.mutable_evaluation()->set_window_length(512);
  EXPECT_GT(EstimateWorkerMemory(spec, model_->config(), kCpuLayout), quantize);
}

TEST_F(PreflightTest, AGpuMayLeaveTheHiddenStatesInTheHostsMemory) {
  const v1::QuantizationSpec spec = Spec();
  const int64_t all = EstimateWorkerMemory(spec, model_->config(), kCudaLayout);
  const int64_t least =
      EstimateWorkerMemory(spec, model_->config(), kCudaLayout, /*states_on_host=*/true);
  // Two streams in float32, and the attention outputs in bf16.
  EXPECT_EQ(all - least, int64_t{128} * 512 * 192 * (2 * 4 + 2));
}

TEST_F(PreflightTest, TheJobsPeakIsThatOfItsGreatestTask) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_evaluation()->set_windows(100);
  spec.mutable_evaluation()->set_window_length(512);
  const auto of = [&](TaskKind kind) {
    return EstimateTaskMemory(kind, spec, model_->config(), kCpuLayout);
  };
  EXPECT_EQ(EstimateWorkerMemory(spec, model_->config(), kCpuLayout),
            std::max(of(TaskKind::kQuantize), of(TaskKind::kEvaluate)));
  EXPECT_NE(of(TaskKind::kQuantize), of(TaskKind::kEvaluate));
  EXPECT_EQ(of(TaskKind::kScan), 0);
}

TEST_F(PreflightTest, DiskIsThatOfThePackedModelAndItsInputs) {
  const auto bytes = EstimateBlobBytes(Spec(), *model_);
  ASSERT_THAT(bytes, IsOk());
  const double packed = static_cast<double>(QuantizedParameters(model_->config())) * 1.95 / 8;
  const double embedding = 2048.0 * 192 * 2;
  const double inputs = 128.0 * 512 * 4;
  EXPECT_GT(static_cast<double>(*bytes), packed + embedding + inputs);
  // What is besides: tokenizer, norms, headers, reports.
  EXPECT_LT(static_cast<double>(*bytes), packed + embedding + inputs + (1 << 20));
}

TEST_F(PreflightTest, RotationsTakeRoomTwice) {
  v1::QuantizationSpec spec = Spec();
  v1::TwlaMethod& method = *spec.mutable_twla();
  method.set_group_size(128);
  method.set_rotation(v1::TwlaMethod::ROTATION_NONE);
  method.set_reorder(v1::Pt2LlmMethod::REORDER_NONE);
  method.set_activation_bits(16);
  const auto without = EstimateBlobBytes(spec, *model_);
  ASSERT_THAT(without, IsOk());
  method.set_rotation(v1::TwlaMethod::ROTATION_HADAMARD);
  method.set_factorization(v1::TwlaMethod::FACTORIZATION_BALANCED);
  const auto with = EstimateBlobBytes(spec, *model_);
  ASSERT_THAT(with, IsOk());
  // 192 = 16·12 for all layers but down, 512 = 32·16; fp16, 4 blocks.
  const int64_t factors = 6 * (16 * 16 + 12 * 12) + (32 * 32 + 16 * 16);
  EXPECT_EQ(*with - *without, 2 * 4 * 2 * factors);
}

TEST_F(PreflightTest, ProbingNeedsTheOutputProjectionToo) {
  v1::QuantizationSpec spec = Spec();
  v1::TwlaMethod& method = *spec.mutable_twla();
  method.set_rotation(v1::TwlaMethod::ROTATION_NONE);
  ModelConfig config = model_->config();
  config.vocab_size = 1000000;
  const int64_t without = EstimateWorkerMemory(spec, config, kCpuLayout);
  for (const int32_t bits : {2, 8}) method.mutable_mixed_activations()->add_candidates(bits);
  EXPECT_GT(EstimateWorkerMemory(spec, config, kCpuLayout), without);
}

}  // namespace
}  // namespace tern
