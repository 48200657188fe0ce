#include "worker/quant/sensitivity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "checkpoint/trits.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/demo_model.h"
#include "worker/model/evaluation.h"
#include "worker/quant/hadamard_rotation.h"

namespace tern {
namespace {

constexpr int64_t kWindows = 3;
constexpr int64_t kLength = DemoModel::kWindowLength;

class SensitivityTest : public testing::Test {
 protected:
  // The layer's weight after a random rotation, every row rounded to -a, 0, a, a its mean
  // magnitude.
  TernaryLayer Rounded(const BlockWeights& full, LinearKind kind) {
    const LinearShape shape = ShapeOf(config_, kind);
    StoredRotation rotation = HadamardRotation(
        RotationShapeOf(shape.rows, shape.cols, RotationFactorization::kBalanced), 7);
    const RotationFactors factors = UploadRotation(*backend_, rotation).value();
    const Tensor& weight = full.weight.at(kind);
    const Tensor rotated = backend_->Allocate(ElementType::kF32, shape.rows, shape.cols).value();
    EXPECT_TRUE(backend_->rotation().RotateRows(weight, factors.r1, factors.r2, rotated).ok());
    const std::vector<float> w = Values(*backend_, rotated);

    TernaryLayer layer;
    layer.rows = shape.rows;
    layer.cols = layer.group_size = shape.cols;
    layer.mu.assign(shape.rows, 0);
    layer.trits.resize(shape.rows * PackedTritBytes(shape.cols));
    std::vector<int8_t> trits(shape.cols);
    for (int64_t row = 0; row < shape.rows; ++row) {
      const std::span values = std::span(w).subspan(row * shape.cols, shape.cols);
      float magnitude = 0;
      for (const float value : values) magnitude += std::abs(value);
      magnitude /= static_cast<float>(shape.cols);
      layer.alpha.push_back(FloatToHalf(magnitude));
      for (int64_t c = 0; c < shape.cols; ++c) {
        trits[c] = static_cast<int8_t>(std::clamp(std::round(values[c] / magnitude), -1.0f, 1.0f));
      }
      PackTrits(trits,
                std::span(layer.trits)
                    .subspan(row * PackedTritBytes(shape.cols), PackedTritBytes(shape.cols)));
    }
    layer.rotation = std::move(rotation);
    return layer;
  }

  const BlockLayers& Layers(int64_t block) {
    BlockLayers& layers = layers_[block];
    if (!layers.empty()) return layers;
    const BlockWeights full = LoadBlock(*backend_, *model_.folder, block).value();
    for (const LinearKind kind : LinearKinds()) layers[kind] = Rounded(full, kind);
    return layers;
  }

  std::unique_ptr<WeightSource> Source(std::vector<BlockActivations> activations) {
    return QuantizedWeights(
        *model_.folder,
        [this](int64_t block) {
          loaded_.push_back(block);
          return absl::StatusOr<BlockLayers>(Layers(block));
        },
        std::move(activations));
  }

  // Ratios that differ from layer to layer and width to width.
  static BlockActivations At(int64_t block, int bits) {
    BlockActivations activations{.bits = bits, .clip = {}};
    double ratio = 0.75 + 0.01 * bits + 0.02 * static_cast<double>(block);
    for (const LinearKind kind : LinearKinds()) activations.clip[kind] = ratio += 0.01;
    return activations;
  }

  std::vector<BlockActivations> Baseline() const {
    std::vector<BlockActivations> activations;
    for (int64_t block = 0; block < config_.num_blocks; ++block) {
      activations.push_back(At(block, 8));
    }
    return activations;
  }

  static SensitivityProbes ProbesOf(int64_t block) {
    SensitivityProbes probes = SingleProbesOf(block);
    if (block == 0) return probes;
    for (const int previous : {2, 4}) {
      for (const int own : {2, 4}) {
        probes.probes.push_back({.own = At(block, own), .previous = At(block - 1, previous)});
      }
    }
    return probes;
  }
  static SensitivityProbes SingleProbesOf(int64_t block) {
    SensitivityProbes probes = {.block = block, .probes = {}, .baseline = block == 0};
    for (const int bits : {2, 4}) probes.probes.push_back({.own = At(block, bits), .previous = {}});
    return probes;
  }

  Sensitivity Measure(int64_t block, SensitivityState& state,
                      const SensitivityOptions& options = {}) {
    const auto result =
        MeasureSensitivity(*backend_, *baseline_, windows_, ProbesOf(block), options, state);
    EXPECT_TRUE(result.ok()) << result.status();
    return *result;
  }
  Sensitivity MeasureAnew(int64_t block, const SensitivityOptions& options = {}) {
    SensitivityState state;
    return Measure(block, state, options);
  }

  double Evaluated(const std::vector<BlockActivations>& activations) {
    const auto source = Source(activations);
    const auto sums = Evaluate(*backend_, {.quantized = source.get()}, windows_, {});
    EXPECT_TRUE(sums.ok()) << sums.status();
    return sums->nll_quantized;
  }

  static std::vector<double> Losses(const Sensitivity& sensitivity) {
    std::vector<double> losses;
    if (sensitivity.baseline_loss.has_value()) losses.push_back(*sensitivity.baseline_loss);
    for (const auto& probe : sensitivity.probes) losses.push_back(probe.loss);
    return losses;
  }

  // Elsewhere matrix products of another shape round otherwise, and values between two levels of
  // an activation then fall to either.
  void ExpectSame(double actual, double expected) {
    const double tolerance = RowsAreIndependent(*backend_) ? 0 : 0.02;
    EXPECT_NEAR(actual, expected, tolerance * expected);
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
  const DemoModel model_;
  const ModelConfig& config_ = model_.config();
  const std::vector<int32_t> ids_ = model_.Tokens(kWindows);
  const EvaluatedWindows windows_ = {ids_, kLength};
  std::map<int64_t, BlockLayers> layers_;
  std::vector<int64_t> loaded_;
  const std::unique_ptr<WeightSource> baseline_ = Source(Baseline());
};

TEST_F(SensitivityTest, EveryLossIsThatOfEvaluatingTheModelWithThoseBits) {
  const double baseline = Evaluated(Baseline());
  for (const int64_t block : {int64_t{0}, int64_t{2}, config_.num_blocks - 1}) {
    const Sensitivity measured = MeasureAnew(block);
    EXPECT_EQ(measured.tokens, kWindows * (kLength - 1));
    ASSERT_EQ(measured.probes.size(), block == 0 ? 2U : 6U);
    for (const Sensitivity::Probe& probe : measured.probes) {
      SCOPED_TRACE(testing::Message() << "block " << block << " at " << probe.bits << " after "
                                      << probe.previous_bits);
      std::vector<BlockActivations> activations = Baseline();
      activations[block] = At(block, probe.bits);
      if (probe.previous_bits != 0) activations[block - 1] = At(block - 1, probe.previous_bits);
      ExpectSame(probe.loss, Evaluated(activations));
      EXPECT_NE(probe.loss, baseline);
    }
  }
}

TEST_F(SensitivityTest, TheBaselineIsMeasuredWhereItIsAskedForAndIsTheSameForAllBlocks) {
  const double baseline = Evaluated(Baseline());
  for (const int64_t block : {int64_t{0}, int64_t{2}}) {
    for (const bool asked : {true, false}) {
      SensitivityProbes probes = ProbesOf(block);
      probes.baseline = asked;
      SensitivityState state;
      const auto measured = MeasureSensitivity(*backend_, *baseline_, windows_, probes, {}, state);
      ASSERT_TRUE(measured.ok()) << measured.status();
      ASSERT_EQ(measured->baseline_loss.has_value(), asked);
      if (asked) ExpectSame(*measured->baseline_loss, baseline);
    }
  }
}

TEST_F(SensitivityTest, WithNothingToMeasureNoBlockIsRead) {
  SensitivityProbes nothing;
  nothing.block = 3;
  SensitivityState state;
  const auto measured = MeasureSensitivity(*backend_, *baseline_, windows_, nothing, {}, state);
  ASSERT_TRUE(measured.ok()) << measured.status();
  EXPECT_TRUE(measured->probes.empty());
  EXPECT_TRUE(loaded_.empty());
}

TEST_F(SensitivityTest, AnyProbesInAnyOrderHaveTheSameLosses) {
  std::map<std::pair<int, int>, double> losses;
  for (const auto& probe : MeasureAnew(1).probes) {
    losses[{probe.previous_bits, probe.bits}] = probe.loss;
  }
  SensitivityProbes some = {.block = 1, .probes = {}};
  const std::vector<std::pair<int, int>> order = {{4, 2}, {0, 4}, {2, 2}, {4, 4}};
  for (const auto& [previous, own] : order) {
    auto& probe = some.probes.emplace_back();
    probe.own = At(1, own);
    if (previous != 0) probe.previous = At(0, previous);
  }
  SensitivityState state;
  const auto measured = MeasureSensitivity(*backend_, *baseline_, windows_, some, {}, state);
  ASSERT_TRUE(measured.ok()) << measured.status();
  ASSERT_EQ(measured->probes.size(), order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const auto& probe = measured->probes[i];
    EXPECT_EQ(std::pair(probe.previous_bits, probe.bits), order[i]);
    ExpectSame(probe.loss, losses.at(order[i]));
  }
}

TEST_F(SensitivityTest, SingleBlocksStartFromTheirOwnPrefix) {
  SensitivityState state;
  loaded_.clear();
  const auto single =
      MeasureSensitivity(*backend_, *baseline_, windows_, SingleProbesOf(3), {}, state);
  ASSERT_TRUE(single.ok()) << single.status();
  EXPECT_EQ(state.prefix.next_block, 3);
  std::vector<int64_t> once(config_.num_blocks);
  std::iota(once.begin(), once.end(), 0);
  EXPECT_EQ(loaded_, once);
  const Sensitivity with_pairs = MeasureAnew(3);
  for (size_t i = 0; i < single->probes.size(); ++i) {
    ExpectSame(single->probes[i].loss, with_pairs.probes[i].loss);
  }
}

TEST_F(SensitivityTest, APrefixThatIsKeptAdvancedOrMadeAnewGivesTheSameBits) {
  const std::vector<double> anew = Losses(MeasureAnew(3));
  SensitivityState state;
  Measure(0, state);
  EXPECT_EQ(state.prefix.next_block, 0);
  Measure(2, state);
  EXPECT_EQ(state.prefix.next_block, 1);
  EXPECT_EQ(Losses(Measure(3, state)), anew) << "advanced";
  EXPECT_EQ(state.prefix.next_block, 2);
  EXPECT_EQ(Losses(Measure(3, state)), anew) << "kept";
  const std::vector<double> of_first = Losses(MeasureAnew(1));
  EXPECT_EQ(Losses(Measure(1, state)), of_first) << "too far, so made anew";
  EXPECT_EQ(state.prefix.next_block, 0);
}

TEST_F(SensitivityTest, GoingBackStartsFromTheStatesThatWereKept) {
  const int64_t states = kWindows * kLength * config_.hidden_size * 4;
  const int64_t last = config_.num_blocks - 1;
  const std::vector<double> anew = Losses(MeasureAnew(last));
  const SensitivityOptions two = {.memory = {.kept_prefix_bytes = 3 * states - 1}};
  SensitivityState state;
  EXPECT_EQ(Losses(Measure(last, state, two)), anew);
  EXPECT_LE(state.kept_prefixes.size(), 2U);
  ASSERT_FALSE(state.kept_prefixes.empty());
  const int64_t kept = state.kept_prefixes.begin()->first;
  ASSERT_GT(kept, 0);
  const std::vector<double> of_kept = Losses(MeasureAnew(kept + 1));
  const std::vector<double> before_kept = Losses(MeasureAnew(kept));
  loaded_.clear();
  EXPECT_EQ(Losses(Measure(kept + 1, state, two)), of_kept);
  EXPECT_EQ(loaded_.front(), kept) << "no block before";
  loaded_.clear();
  EXPECT_EQ(Losses(Measure(kept, state, two)), before_kept);
  EXPECT_EQ(loaded_.front(), 0) << "before the first that are kept";
  EXPECT_EQ(Losses(Measure(last, state, two)), anew) << "forward again";
}

TEST_F(SensitivityTest, APrefixOfOtherWindowsIsNotTaken) {
  SensitivityState state;
  const EvaluatedWindows fewer = {std::span(ids_).first(kLength), kLength};
  ASSERT_TRUE(MeasureSensitivity(*backend_, *baseline_, fewer, ProbesOf(1), {}, state).ok());
  EXPECT_EQ(Losses(Measure(1, state)), Losses(MeasureAnew(1)));
}

TEST_F(SensitivityTest, LossesDoNotDependOnTheMemoryForHiddenStates) {
  const std::vector<double> one_pass = Losses(MeasureAnew(2));
  const int64_t window = kLength * config_.hidden_size * 4;
  for (const int64_t bytes : {int64_t{1}, 2 * 6 * window}) {  // a window a pass; two, then one
    const std::vector<double> passes =
        Losses(MeasureAnew(2, {.memory = {.probe_bytes = bytes, .prefix_on_host = true}}));
    ASSERT_EQ(passes.size(), one_pass.size());
    for (size_t i = 0; i < passes.size(); ++i) ExpectSame(passes[i], one_pass[i]);
  }
}

TEST_F(SensitivityTest, TheLastBlocksAreKeptAsFarAsThereIsMemory) {
  const std::vector<double> anew = Losses(MeasureAnew(3));
  int64_t block_bytes = 0;
  for (const LinearKind kind : LinearKinds()) {
    const LinearShape shape = ShapeOf(config_, kind);
    block_bytes += shape.rows * shape.cols * SizeOf(backend_->activation_type());
  }
  const int64_t blocks = config_.num_blocks;
  std::vector<int64_t> upcoming;
  const SensitivityOptions options = {
      .memory = {.kept_weight_bytes = 3 * block_bytes - 1},
      .upcoming = [&](int64_t block) { upcoming.push_back(block); }};
  SensitivityState state;
  Measure(0, state, options);
  loaded_.clear();
  upcoming.clear();
  EXPECT_EQ(Losses(Measure(3, state, options)), anew);
  std::vector<int64_t> read(blocks - 2);
  std::iota(read.begin(), read.end(), 0);
  EXPECT_EQ(loaded_, read);
  EXPECT_EQ(upcoming, std::vector<int64_t>(read.begin() + 1, read.end()));
}

TEST_F(SensitivityTest, EachPassReadsABlockOnceAndSaysWhichComesNext) {
  const int64_t last = config_.num_blocks - 1;
  std::vector<int64_t> once;
  for (int64_t block = last - 2; block <= last; ++block) once.push_back(block);
  std::vector<int64_t> expected;
  for (int64_t block = 0; block < last - 2; ++block) expected.push_back(block);  // the prefix
  // Elsewhere a pass is a whole batch.
  const int64_t passes = RowsAreIndependent(*backend_) ? kWindows : 1;
  for (int64_t pass = 0; pass < passes; ++pass) {
    expected.insert(expected.end(), once.begin(), once.end());
  }
  std::vector<int64_t> upcoming;
  loaded_.clear();
  MeasureAnew(last - 1, {.memory = {.probe_bytes = 1},
                         .upcoming = [&](int64_t block) { upcoming.push_back(block); }});
  EXPECT_EQ(loaded_, expected);
  expected.erase(expected.begin());
  EXPECT_EQ(upcoming, expected);
}

TEST_F(SensitivityTest, ProgressEndsAtItsTotal) {
  for (const int64_t block : {0, 2}) {
    std::vector<std::pair<int64_t, int64_t>> calls;
    MeasureAnew(block, {.memory = {.probe_bytes = 1}, .progress = [&](int64_t done, int64_t total) {
                          calls.emplace_back(done, total);
                        }});
    ASSERT_FALSE(calls.empty());
    EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
    EXPECT_EQ(calls.back().first, calls.back().second);
  }
}

TEST_F(SensitivityTest, CancellingEndsItWhereverItIs) {
  int checks = 0;
  MeasureAnew(2, {.cancelled = [&] { return ++checks < 0; }});
  for (const int at : {1, checks / 2, checks}) {
    SensitivityState state;
    int count = 0;
    const SensitivityOptions options = {.cancelled = [&] { return ++count == at; }};
    const auto result =
        MeasureSensitivity(*backend_, *baseline_, windows_, ProbesOf(2), options, state);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled) << at;
    EXPECT_EQ(count, at);
  }
}

TEST_F(SensitivityTest, BlocksThatTheModelDoesNotHaveAreRefused) {
  SensitivityProbes before_the_first = ProbesOf(0);
  before_the_first.probes.front().previous = At(0, 4);
  for (const SensitivityProbes& probes :
       {ProbesOf(-1), ProbesOf(config_.num_blocks), before_the_first}) {
    SensitivityState state;
    const auto result = MeasureSensitivity(*backend_, *baseline_, windows_, probes, {}, state);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << probes.block;
  }
}

TEST_F(SensitivityTest, TheCpuTakesAsMuchForProbesAsForThePrefixOrTheLeast) {
  const SensitivityMemory least;
  const auto probe_bytes = [&](int64_t tokens) {
    return ChooseSensitivityMemory(*CreateBackend("cpu", 1).value(), config_, tokens).probe_bytes;
  };
  EXPECT_EQ(probe_bytes(kLength), least.probe_bytes);
  const int64_t tokens = int64_t{1} << 30;
  EXPECT_EQ(probe_bytes(tokens), tokens * config_.hidden_size * 4);
}

}  // namespace
}  // namespace tern
