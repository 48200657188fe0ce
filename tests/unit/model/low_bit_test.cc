#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "checkpoint/packed_checkpoint.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/test_model.h"
#include "tests/unit/model/demo_model.h"
#include "worker/model/evaluation.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

constexpr int64_t kLength = 32;
constexpr int64_t kGroup = 128;

// I - 2·v·vᵀ/‖v‖² for a random v: orthogonal, and no element of a row is left alone.
std::vector<float> Householder(int64_t n, uint32_t seed) {
  std::vector<float> v(n);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    v[i] = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
    squares += static_cast<double>(v[i]) * v[i];
  }
  std::vector<float> factor(n * n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      factor[i * n + j] = static_cast<float>((i == j) - 2.0 * v[i] * v[j] / squares);
    }
  }
  return factor;
}

StoredRotation RotationOf(const LinearShape& shape, bool identity) {
  StoredRotation rotation;
  rotation.shape = RotationShapeOf(shape.rows, shape.cols, RotationFactorization::kBalanced);
  for (auto [n, factor] :
       {std::pair{rotation.shape.n1, &rotation.r1}, {rotation.shape.n2, &rotation.r2}}) {
    std::vector<float> values = Householder(n, static_cast<uint32_t>(n));
    if (identity) {
      for (int64_t i = 0; i < n * n; ++i) values[i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
    }
    factor->resize(n * n);
    FloatToHalf(values, *factor);
  }
  return rotation;
}

class LowBitTest : public testing::Test {
 protected:
  // The layer's weight, rotated, with every group rounded to -a, 0, a, a its mean magnitude.
  TernaryLayer Rounded(int64_t block, LinearKind kind) {
    const LinearShape shape = ShapeOf(config_, kind);
    const BlockWeights full = LoadBlock(*backend_, *model_, block).value();
    TernaryLayer layer = CyclingLayer(config_, kind);
    layer.rotation = RotationOf(shape, /*identity=*/false);
    BlockWeights factors;
    EXPECT_TRUE(UseLowBitLayer(*backend_, kind, layer, 8, 1, factors).ok());
    const LowBitInput& input = factors.low_bit.at(kind);
    const Tensor& weight = full.weight.at(kind);
    const Tensor rotated = backend_->Allocate(ElementType::kF32, shape.rows, shape.cols).value();
    EXPECT_TRUE(backend_->rotation()
                    .RotateRows(weight, input.rotation.r1, input.rotation.r2, rotated)
                    .ok());
    const std::vector<float> w = DownloadFloats(*backend_, rotated);
    std::vector<int8_t> trits(shape.cols);
    const int64_t row_bytes = PackedTritBytes(shape.cols);
    for (int64_t row = 0; row < shape.rows; ++row) {
      for (int64_t g = 0; g < layer.groups(); ++g) {
        const int64_t first = g * kGroup, last = std::min(first + kGroup, shape.cols);
        double magnitude = 0;
        for (int64_t c = first; c < last; ++c) magnitude += std::abs(w[row * shape.cols + c]);
        const auto alpha = static_cast<float>(magnitude / static_cast<double>(last - first));
        layer.alpha[row * layer.groups() + g] = FloatToHalf(alpha);
        layer.mu[row * layer.groups() + g] = 0;
        for (int64_t c = first; c < last; ++c) {
          const float value = w[row * shape.cols + c] / alpha;
          trits[c] = static_cast<int8_t>(value > 0.5f ? 1 : (value < -0.5f ? -1 : 0));
        }
      }
      PackTrits(trits, std::span(layer.trits).subspan(row * row_bytes, row_bytes));
    }
    return layer;
  }

  const BlockLayers& RoundedLayers(int64_t block) {
    BlockLayers& layers = rounded_[block];
    if (layers.empty()) {
      for (const LinearKind kind : LinearKinds()) layers[kind] = Rounded(block, kind);
    }
    return layers;
  }

  std::unique_ptr<WeightSource> Source(std::vector<BlockActivations> activations) {
    return QuantizedWeights(
        *model_,
        [this](int64_t block) { return absl::StatusOr<BlockLayers>(RoundedLayers(block)); },
        std::move(activations));
  }

  std::vector<BlockActivations> Activations(int bits) const {
    BlockActivations block{.bits = bits, .clip = {}};
    for (const LinearKind kind : LinearKinds()) block.clip[kind] = 1.0;
    return std::vector<BlockActivations>(config_.num_blocks, block);
  }

  EvaluationSums Compare(const WeightSource& reference, const WeightSource& source) {
    const auto sums = Evaluate(*backend_, {&reference, &source}, {ids_, kLength}, {});
    EXPECT_TRUE(sums.ok()) << sums.status();
    return *sums;
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
  const std::unique_ptr<ModelFolder> model_ = OpenDemo();
  const ModelConfig& config_ = model_->config();
  const std::vector<int32_t> ids_ = SomeTokens(3 * kLength, config_.vocab_size);
  std::map<int64_t, BlockLayers> rounded_;
};

TEST_F(LowBitTest, RotatingByTheIdentityChangesNoBit) {
  for (const LinearKind kind : {LinearKind::kQ, LinearKind::kDown}) {
    const TernaryLayer plain = CyclingLayer(config_, kind);
    TernaryLayer rotated = plain;
    rotated.rotation = RotationOf(ShapeOf(config_, kind), /*identity=*/true);
    BlockWeights of_plain, of_rotated;
    ASSERT_TRUE(UseTernaryWeight(*backend_, kind, plain, of_plain).ok());
    ASSERT_TRUE(UseTernaryWeight(*backend_, kind, rotated, of_rotated).ok());
    EXPECT_EQ(DownloadFloats(*backend_, of_rotated.weight.at(kind)),
              DownloadFloats(*backend_, of_plain.weight.at(kind)));
  }
  BlockLayers plain = CyclingLayers(config_), rotated = plain;
  for (auto& [kind, layer] : rotated) {
    layer.rotation = RotationOf(ShapeOf(config_, kind), /*identity=*/true);
  }
  const auto source = [&](const BlockLayers& layers) {
    return QuantizedWeights(
        *model_, [&layers](int64_t) { return absl::StatusOr<BlockLayers>(layers); },
        Activations(4));
  };
  EXPECT_EQ(Compare(*source(plain), *source(rotated)).kl, 0);
}

TEST_F(LowBitTest, FoldedWeightsAreTheEffectiveOnes) {
  for (const LinearKind kind : {LinearKind::kK, LinearKind::kDown}) {
    const TernaryLayer& layer = RoundedLayers(0).at(kind);
    std::vector<float> effective(layer.rows * layer.cols);
    Dequantize(layer, effective);
    BlockWeights weights;
    ASSERT_TRUE(UseTernaryWeight(*backend_, kind, layer, weights).ok());
    // Sums of n1 + n2 products in float32, in another order.
    EXPECT_LE(NormalizedError(DownloadFloats(*backend_, weights.weight.at(kind)), effective), 1e-6);
  }
}

TEST_F(LowBitTest, AFoldedLayerGivesWhatTheRotatedOneGivesForTheRotatedInput) {
  for (const LinearKind kind : {LinearKind::kK, LinearKind::kDown}) {
    const TernaryLayer& layer = RoundedLayers(0).at(kind);
    BlockWeights folded, stored;
    ASSERT_TRUE(UseTernaryWeight(*backend_, kind, layer, folded).ok());
    ASSERT_TRUE(UseLowBitLayer(*backend_, kind, layer, 8, 1, stored).ok());
    EXPECT_TRUE(folded.low_bit.empty());
    std::vector<float> values(16 * layer.cols);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(std::sin(0.7 * i));
    const Tensor x = backend_->Allocate(ElementType::kF32, 16, layer.cols).value();
    ASSERT_TRUE(backend_->Upload(values.data(), x).ok());
    const Tensor y = backend_->Allocate(ElementType::kF32, 16, layer.rows).value();
    ASSERT_TRUE(backend_->Linear(x, folded.weight.at(kind), Tensor(), false, y).ok());
    const std::vector<float> expected = DownloadFloats(*backend_, y);
    const LowBitInput& input = stored.low_bit.at(kind);
    ASSERT_TRUE(backend_->rotation().RotateRows(x, input.rotation.r1, input.rotation.r2, x).ok());
    ASSERT_TRUE(backend_->Linear(x, stored.weight.at(kind), Tensor(), false, y).ok());
    // float32 sums of some hundred products.
    EXPECT_LE(NormalizedError(DownloadFloats(*backend_, y), expected), 2e-6);
  }
}

TEST_F(LowBitTest, EightBitsAreCloseToSixteenAndFewerAreFurtherAway) {
  const auto sixteen = Source({});
  const double eight = Compare(*sixteen, *Source(Activations(8))).kl;
  const double six = Compare(*sixteen, *Source(Activations(6))).kl;
  const double four = Compare(*sixteen, *Source(Activations(4))).kl;
  const double two = Compare(*sixteen, *Source(Activations(2))).kl;
  const auto tokens = static_cast<double>(3 * (kLength - 1));
  EXPECT_GT(eight, 0);
  EXPECT_LT(eight / tokens, 0.01);  // nats per token
  // Two bits less are steps four times as long, and divergence grows with their square.
  EXPECT_GT(six, 3 * eight);
  EXPECT_GT(four, 3 * six);
  EXPECT_GT(two, four);
}

TEST_F(LowBitTest, EachLayerHasItsOwnClipRatioAndEachBlockItsOwnBits) {
  std::vector<BlockActivations> activations = Activations(8);
  const auto base = Source(activations);
  for (const LinearKind kind : LinearKinds()) {
    std::vector<BlockActivations> changed = activations;
    changed[1].clip[kind] = 0.5;
    EXPECT_GT(Compare(*base, *Source(changed)).kl, 0) << LinearModule(kind);
  }
  activations[1].bits = 2;
  const BlockWeights block0 = Source(activations)->Block(*backend_, 0).value();
  const BlockWeights block1 = Source(activations)->Block(*backend_, 1).value();
  for (const LinearKind kind : LinearKinds()) {
    EXPECT_EQ(block0.low_bit.at(kind).bits, 8);
    EXPECT_EQ(block1.low_bit.at(kind).bits, 2);
  }
}

TEST_F(LowBitTest, SettingActivationsIsLoadingTheBlockWithThem) {
  const int64_t hidden = config_.hidden_size;
  std::vector<float> values(kLength * hidden);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(std::sin(0.3 * i));
  const auto forward = [&](const BlockWeights& weights) {
    const Tensor h = backend_->Allocate(ElementType::kF32, kLength, hidden).value();
    EXPECT_TRUE(backend_->Upload(values.data(), h).ok());
    TransformerBlock block = TransformerBlock::Create(*backend_, config_, 0, kLength).value();
    EXPECT_TRUE(block.Forward(weights, h).ok());
    return DownloadFloats(*backend_, h);
  };
  std::vector<BlockActivations> wanted = Activations(4);
  wanted[0].clip[LinearKind::kGate] = 0.7;
  const std::vector<float> expected = forward(Source(wanted)->Block(*backend_, 0).value());
  BlockWeights weights = Source(Activations(8))->Block(*backend_, 0).value();
  EXPECT_NE(forward(weights), expected);
  SetActivations(wanted[0], weights);
  EXPECT_EQ(forward(weights), expected);
}

TEST_F(LowBitTest, Bf16DevicesMeasureWhatFloat32Measures) {
  auto device = CreateBackend(TestDevice(2, ElementType::kBF16));
  if (!device.ok()) GTEST_SKIP() << "needs a device with bf16: " << device.status().message();
  for (const int bits : {8, 4}) {
    const auto source = Source(Activations(bits));
    const double expected = Compare(*source, *source).nll_quantized;
    const auto sums = Evaluate(**device, {.quantized = source.get()}, {ids_, kLength}, {});
    ASSERT_TRUE(sums.ok()) << sums.status();
    // Values between two levels round either way; over tokens that evens out.
    EXPECT_NEAR(sums->nll_quantized, expected, 0.02 * expected) << bits << " bits";
  }
}

TEST_F(LowBitTest, APackedCheckpointRunsWithTheActivationsItIsMadeFor) {
  const TempDir folder;
  PackedFormat format = {.method = "twla", .group_size = kGroup, .permuted = false};
  format.rotation = {RotationKind::kKotms, RotationFactorization::kBalanced};
  format.activations = SomeActivations(config_.num_blocks);
  WritePacked(*model_, format, folder.File("packed"));
  const auto checkpoint = PackedCheckpoint::Open(folder.File("packed"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto packed = PackedWeights(**checkpoint);
  ASSERT_TRUE(packed.ok()) << packed.status();
  const LayerSource layers = [&](int64_t block) {
    return absl::StatusOr<BlockLayers>(RandomLayers(config_, format, block));
  };
  const auto low_bit = QuantizedWeights(*model_, layers, format.activations);
  const auto sixteen = QuantizedWeights(*model_, layers);
  const EvaluationSums same = Compare(*low_bit, **packed);
  EXPECT_EQ(same.kl, 0);
  EXPECT_EQ(same.nll_full, same.nll_quantized);
  EXPECT_GT(Compare(*sixteen, **packed).kl, 0);
}

}  // namespace
}  // namespace tern
