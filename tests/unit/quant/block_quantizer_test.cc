#include "worker/quant/block_quantizer.h"

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/demo_model.h"
#include "worker/model/transformer_block.h"
#include "worker/quant/stage_clock.h"

namespace tern {
namespace {

using testing::HasSubstr;

bool SameBytes(const TernaryLayer& a, const TernaryLayer& b) {
  return a.trits == b.trits && a.alpha == b.alpha && a.mu == b.mu && a.perm == b.perm;
}

class BlockQuantizerTest : public testing::Test {
 protected:
  CalibrationState Start(bool full_precision_stream, bool on_host = false) {
    return StartCalibration(*backend_, *demo_.full, ids_, DemoModel::kWindowLength, kBlock,
                            {.full_precision = full_precision_stream, .on_host = on_host}, nullptr)
        .value();
  }

  absl::StatusOr<QuantizedBlock> Quantize(CalibrationState& state) {
    return QuantizeBlock(*backend_, demo_.config(), demo_.full->Block(*backend_, kBlock).value(),
                         options_, BlockRotations(), control_, state);
  }

  QuantizedBlock Quantize() {
    CalibrationState state = Start(NeedsFullPrecision(options_));
    return Quantize(state).value();
  }

  static constexpr int64_t kBlock = 1;
  DemoModel demo_;
  std::vector<int32_t> ids_ = demo_.Tokens(8);
  std::unique_ptr<Backend> backend_ = TestBackend();
  QuantRecipe options_;
  TaskControl control_;
};

TEST_F(BlockQuantizerTest, QuantizesEveryLayerAndMeasuresIt) {
  const QuantizedBlock block = Quantize();
  double error = 0;
  double energy = 0;
  double bits = 0;
  double weights = 0;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(demo_.config(), kind);
    const TernaryLayer& layer = block.layers.at(kind);
    EXPECT_EQ(layer.rows, shape.rows);
    EXPECT_EQ(layer.cols, shape.cols);
    const LayerMetrics& metrics = block.metrics.layers.at(kind);
    EXPECT_GT(metrics.relative_error, 0);
    EXPECT_LT(metrics.relative_error, 1);
    error += metrics.output_error;
    energy += metrics.output_energy;
    const auto elements = static_cast<double>(shape.rows * shape.cols);
    bits += metrics.bits_per_weight * elements;
    weights += elements;
  }
  EXPECT_DOUBLE_EQ(block.metrics.relative_error, error / energy);
  EXPECT_NEAR(block.metrics.bits_per_weight, bits / weights, 1e-12);
  EXPECT_EQ(block.metrics.tokens, 8 * DemoModel::kWindowLength);
}

TEST_F(BlockQuantizerTest, TimeIsCountedByStage) {
  const QuantizedBlock block = Quantize();
  std::vector<std::string> stages;
  for (const auto& [stage, seconds] : block.metrics.seconds) {
    stages.push_back(stage);
    EXPECT_GT(seconds, 0) << stage;
  }
  EXPECT_THAT(stages, testing::UnorderedElementsAre(kForwardStage, kMomentsStage, kFactorizeStage,
                                                    kFitStage, kCompensateStage, kMeasureStage));
}

// Follows the streams through the block by hand and quantizes {o} and {down} from what they see.
TEST_F(BlockQuantizerTest, EachSetIsCalibratedAfterTheSetsBeforeWereQuantizedAndStored) {
  const QuantizedBlock expected = Quantize();

  const BlockWeights full = demo_.full->Block(*backend_, kBlock).value();
  BlockWeights quantized = full;
  const auto use = [&](LinearKind kind) {
    ASSERT_TRUE(UseTernaryWeight(*backend_, kind, expected.layers.at(kind), quantized).ok());
  };
  const CalibrationState state = Start(true);
  const int64_t tokens = state.tokens();
  const auto quantize = [&](LinearKind kind, const Tensor& x, const Tensor& x_full) {
    const auto moment = [&] {
      Tensor sum = backend_->Allocate(ElementType::kF32, x.cols(), x.cols()).value();
      EXPECT_TRUE(backend_->Zero(sum).ok());
      return sum;
    };
    const Tensor h = moment();
    const Tensor g = moment();
    const double scale = 1.0 / static_cast<double>(tokens);
    EXPECT_TRUE(backend_->AccumulateGram(x, h).ok());
    EXPECT_TRUE(backend_->FinishMoment(h, scale, true).ok());
    EXPECT_TRUE(backend_->AccumulateCross(x_full, x, g).ok());
    EXPECT_TRUE(backend_->FinishMoment(g, scale, false).ok());
    StageClock clock(*backend_);
    return LayerQuantizer::Create(*backend_, options_, h, g, clock)
        ->Quantize(full.weight.at(kind), nullptr)
        ->layer;
  };
  TransformerBlock block =
      TransformerBlock::Create(*backend_, demo_.config(), kBlock, DemoModel::kWindowLength).value();
  const auto matrix = [&](int64_t cols) {
    return backend_->Allocate(ElementType::kF32, tokens, cols).value();
  };
  const int64_t hidden = demo_.config().hidden_size;
  const Tensor x = matrix(hidden);
  const Tensor attention[2] = {matrix(hidden), matrix(hidden)};
  const Tensor activation[2] = {matrix(demo_.config().intermediate_size),
                                matrix(demo_.config().intermediate_size)};
  const Tensor h[2] = {state.quantized, state.full_precision};
  const BlockWeights* weights[2] = {&quantized, &full};

  for (const LinearKind kind : {LinearKind::kQ, LinearKind::kK, LinearKind::kV}) use(kind);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(block.AttentionInput(*weights[i], h[i], x).ok());
    ASSERT_TRUE(block.Attention(*weights[i], x, attention[i]).ok());
  }
  EXPECT_TRUE(SameBytes(quantize(LinearKind::kO, attention[0], attention[1]),
                        expected.layers.at(LinearKind::kO)));

  for (const LinearKind kind : {LinearKind::kO, LinearKind::kGate, LinearKind::kUp}) use(kind);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(block.AddAttentionOutput(*weights[i], attention[i], h[i]).ok());
    ASSERT_TRUE(block.MlpInput(*weights[i], h[i], x).ok());
    ASSERT_TRUE(block.MlpActivation(*weights[i], x, activation[i]).ok());
  }
  EXPECT_TRUE(SameBytes(quantize(LinearKind::kDown, activation[0], activation[1]),
                        expected.layers.at(LinearKind::kDown)));
}

TEST_F(BlockQuantizerTest, NoBitDependsOnTheNumberOfThreads) {
  const QuantizedBlock two = Quantize();
  for (const int threads : {1, 3}) {
    backend_ = TestBackend(threads);
    const QuantizedBlock other = Quantize();
    for (const LinearKind kind : LinearKinds()) {
      EXPECT_TRUE(SameBytes(other.layers.at(kind), two.layers.at(kind))) << LinearModule(kind);
    }
  }
}

TEST_F(BlockQuantizerTest, WithoutAsymmetryAFullPrecisionStreamChangesNothing) {
  options_.gptaq = 0;
  const QuantizedBlock alone = Quantize();
  CalibrationState state = Start(true);
  const QuantizedBlock beside = Quantize(state).value();
  for (const LinearKind kind : LinearKinds()) {
    EXPECT_TRUE(SameBytes(beside.layers.at(kind), alone.layers.at(kind))) << LinearModule(kind);
  }
}

TEST_F(BlockQuantizerTest, NoBitDependsOnWhereTheStatesLie) {
  ids_ = demo_.Tokens(70);  // more than one batch
  CalibrationState on_device = Start(true);
  CalibrationState on_host = Start(true, /*on_host=*/true);
  const QuantizedBlock expected = Quantize(on_device).value();
  const QuantizedBlock quantized = Quantize(on_host).value();
  for (const auto& [kind, layer] : expected.layers) {
    EXPECT_TRUE(SameBytes(layer, quantized.layers.at(kind)));
  }
  EXPECT_EQ(Values(*backend_, on_host.quantized), Values(*backend_, on_device.quantized));
  EXPECT_EQ(Values(*backend_, on_host.full_precision), Values(*backend_, on_device.full_precision));
}

TEST_F(BlockQuantizerTest, AsymmetryWithoutTheFullPrecisionStreamIsRefused) {
  CalibrationState state = Start(false);
  const absl::Status status = Quantize(state).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gptaq"));
}

TEST_F(BlockQuantizerTest, ProgressNeverFallsAndEndsAtOne) {
  std::vector<double> fractions;
  control_.progress = [&](absl::string_view, double fraction) { fractions.push_back(fraction); };
  Quantize();
  ASSERT_GE(fractions.size(), 4u + 7u + 1u);  // a batch of each set, the layers, the last pass
  for (size_t i = 1; i < fractions.size(); ++i) EXPECT_GE(fractions[i], fractions[i - 1]);
  EXPECT_GT(fractions.front(), 0);
  EXPECT_NEAR(fractions.back(), 1, 1e-9);
}

TEST_F(BlockQuantizerTest, StopsWhereverItIsCancelled) {
  int total = 0;
  control_.cancelled = [&] {
    ++total;
    return false;
  };
  Quantize();
  for (int stop = 1; stop <= total; stop += 5) {
    int asked = 0;
    control_.cancelled = [&] { return ++asked == stop; };
    CalibrationState state = Start(true);
    EXPECT_EQ(Quantize(state).status().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(asked, stop);
  }
}

TEST_F(BlockQuantizerTest, AnErrorNamesTheLayer) {
  CalibrationState state = Start(true);
  BlockWeights weights = demo_.full->Block(*backend_, kBlock).value();
  std::vector<float> values = Values(*backend_, weights.weight.at(LinearKind::kK));
  values[3] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(backend_->Upload(values.data(), weights.weight.at(LinearKind::kK)).ok());
  const absl::Status status =
      QuantizeBlock(*backend_, demo_.config(), weights, options_, BlockRotations(), control_, state)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.layers.1.self_attn.k_proj: weight"));
}

}  // namespace
}  // namespace tern
