// Blocks whose layers are rotated: what they are quantized to, seen from outside of the rotation.

#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/demo_model.h"
#include "worker/quant/block_quantizer.h"
#include "worker/quant/block_rotations.h"
#include "worker/quant/block_streams.h"

namespace tern {
namespace {

class RotatedBlockTest : public testing::Test {
 protected:
  RotatedBlockTest() {
    recipe_.rotation = RotationFormat{RotationKind::kHadamard, RotationFactorization::kReleased};
    recipe_.reorder = Reorder::kNone;
    recipe_.fit = GridFit::kE2m;
    recipe_.gptaq = 0;
    recipe_.damping = 0.1;
  }

  BlockWeights Weights() { return demo_.full->Block(*backend_, 0).value(); }

  CalibrationState Start() {
    return StartCalibration(*backend_, *demo_.full, ids_, DemoModel::kWindowLength, 0,
                            {.full_precision = recipe_.gptaq > 0}, nullptr)
        .value();
  }

  FoundRotations Find() {
    return FindRotations(*backend_, 0, Weights(), recipe_, TaskControl()).value();
  }

  absl::StatusOr<QuantizedBlock> Quantize(const BlockRotations& rotations) {
    CalibrationState state = Start();
    return QuantizeBlock(*backend_, demo_.config(), Weights(), recipe_, rotations, TaskControl(),
                         state);
  }

  // H of the inputs of q, k and v.
  Tensor HessianOfAttention() {
    CalibrationState state = Start();
    BlockStreams streams =
        BlockStreams::Create(*backend_, demo_.config(), Weights(), state).value();
    const int64_t m = demo_.config().hidden_size;
    const Tensor h = backend_->Allocate(ElementType::kF32, m, m).value();
    EXPECT_TRUE(backend_->Zero(h).ok());
    for (int64_t batch = 0; batch < streams.batches(); ++batch) {
      const Tensor x = streams.Next(LinearKind::kQ, batch).value().quantized;
      EXPECT_TRUE(backend_->AccumulateGram(x, h).ok());
    }
    EXPECT_TRUE(backend_->FinishMoment(h, 1.0 / static_cast<double>(state.tokens()), true).ok());
    return h;
  }

  DemoModel demo_;
  std::unique_ptr<Backend> backend_ = TestBackend();
  std::vector<int32_t> ids_ = demo_.Tokens(8);
  QuantRecipe recipe_;
};

TEST_F(RotatedBlockTest, TheErrorInRotatedSpaceIsThatOfTheEffectiveWeight) {
  const QuantizedBlock block = Quantize(Find().rotations).value();
  const Tensor h = HessianOfAttention();
  const BlockWeights weights = Weights();
  for (const LinearKind kind : {LinearKind::kQ, LinearKind::kK, LinearKind::kV}) {
    const TernaryLayer& layer = block.layers.at(kind);
    ASSERT_TRUE(layer.rotation.has_value());
    std::vector<float> values(layer.rows * layer.cols);
    Dequantize(layer, values);
    const Tensor effective = backend_->Allocate(ElementType::kF32, layer.rows, layer.cols).value();
    ASSERT_TRUE(backend_->Upload(values.data(), effective).ok());
    const Tensor weight = ExactWeight(*backend_, kind, weights).value();
    const double error = backend_->ternary().OutputEnergy(weight, effective, h).value();
    const double energy = backend_->ternary().OutputEnergy(weight, Tensor(), h).value();
    const LayerMetrics& metrics = block.metrics.layers.at(kind);
    // Float32 on both ways; without W·R⁻ᵀ for fp16 factors it would be off by 1e-4 of the energy.
    EXPECT_NEAR(metrics.output_energy / energy, 1, 1e-4);
    EXPECT_NEAR(metrics.output_error / error, 1, 1e-3);
  }
}

TEST_F(RotatedBlockTest, FactorsCountAsBits) {
  const QuantizedBlock block = Quantize(Find().rotations).value();
  const TernaryLayer& layer = block.layers.at(LinearKind::kDown);
  EXPECT_EQ(block.metrics.layers.at(LinearKind::kDown).bits_per_weight,
            8.0 * static_cast<double>(layer.stored_bytes()) /
                static_cast<double>(layer.rows * layer.cols));
  EXPECT_GT(layer.rotation->stored_bytes(), 0);
}

TEST_F(RotatedBlockTest, ALearnedRotationLowersTheLossOfEveryLayer) {
  recipe_.rotation->kind = RotationKind::kKotms;
  recipe_.kotms.steps = 20;
  const FoundRotations found = Find();
  ASSERT_EQ(found.rotations.size(), LinearKinds().size());
  for (const auto& [kind, metrics] : found.metrics) {
    EXPECT_LT(metrics.loss_after, metrics.loss_before);
    EXPECT_LT(metrics.orthogonality_error, kOrthogonalityTolerance);
  }
}

TEST_F(RotatedBlockTest, RandomRotationsDifferFromLayerToLayerAndFollowTheSeed) {
  const FoundRotations first = Find();
  EXPECT_NE(first.rotations.at(LinearKind::kQ).r1, first.rotations.at(LinearKind::kO).r1);
  EXPECT_EQ(Find().rotations.at(LinearKind::kQ).r1, first.rotations.at(LinearKind::kQ).r1);
  recipe_.seed = 1000;
  EXPECT_NE(Find().rotations.at(LinearKind::kQ).r1, first.rotations.at(LinearKind::kQ).r1);
}

TEST_F(RotatedBlockTest, ClipRatiosAreFittedForEveryWidthAndLayer) {
  recipe_.activation_bits = {4, 8};
  const QuantizedBlock block = Quantize(Find().rotations).value();
  for (const LinearKind kind : LinearKinds()) {
    const auto& ratios = block.metrics.layers.at(kind).clip_ratios;
    ASSERT_EQ(ratios.size(), 2U);
    for (const auto& [bits, ratio] : ratios) {
      EXPECT_GE(ratio, 0.5);
      EXPECT_LE(ratio, 1.0);
    }
    // The more levels there are, the less it pays to give up the range's ends.
    EXPECT_GE(ratios.at(8), ratios.at(4));
  }
}

TEST_F(RotatedBlockTest, ARecipeAndItsRotationsGoTogether) {
  EXPECT_EQ(Quantize(BlockRotations()).status().code(), absl::StatusCode::kFailedPrecondition);
  const BlockRotations rotations = Find().rotations;
  recipe_.rotation.reset();
  EXPECT_EQ(Quantize(rotations).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tern
