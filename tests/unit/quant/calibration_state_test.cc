#include "worker/quant/calibration_state.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "checkpoint/block_memory.h"
#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/demo_model.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"
#include "worker/quant/block_quantizer.h"

namespace tern {
namespace {

class CalibrationStateTest : public testing::Test {
 protected:
  absl::StatusOr<CalibrationState> Start(int64_t first_block, bool full_precision_stream) {
    return StartCalibration(*backend_, *demo_.full, ids_, DemoModel::kWindowLength, first_block,
                            {.full_precision = full_precision_stream, .on_host = on_host_},
                            cancelled_);
  }

  // Quantizes two blocks, then rebuilds the state behind them from what was stored.
  void ExpectRebuiltStateToHaveTheSameBits(const QuantRecipe& options) {
    const bool both = NeedsFullPrecision(options);
    CalibrationState warm = Start(0, both).value();
    std::vector<BlockLayers> stored;
    for (int64_t block = 0; block < 2; ++block) {
      const BlockWeights weights = demo_.full->Block(*backend_, block).value();
      stored.push_back(QuantizeBlock(*backend_, demo_.config(), weights, options, BlockRotations(),
                                     TaskControl(), warm)
                           ->layers);
    }
    const auto quantized = QuantizedWeights(
        *demo_.folder, [&](int64_t block) -> absl::StatusOr<BlockLayers> { return stored[block]; });
    CalibrationState rebuilt = Start(0, both).value();
    for (int64_t block = 0; block < 2; ++block) {
      ASSERT_TRUE(AdvanceCalibration(*backend_, demo_.config(),
                                     demo_.full->Block(*backend_, block).value(),
                                     quantized->Block(*backend_, block).value(), nullptr, rebuilt)
                      .ok());
    }
    EXPECT_EQ(rebuilt.next_block, 2);
    EXPECT_EQ(warm.next_block, 2);
    EXPECT_EQ(Values(*backend_, rebuilt.quantized), Values(*backend_, warm.quantized));
    EXPECT_EQ(rebuilt.full_precision.empty(), warm.full_precision.empty());
    if (both) {
      EXPECT_EQ(Values(*backend_, rebuilt.full_precision), Values(*backend_, warm.full_precision));
      EXPECT_NE(Values(*backend_, warm.full_precision), Values(*backend_, warm.quantized));
    }
  }

  DemoModel demo_;
  std::unique_ptr<Backend> backend_ = TestBackend();
  bool on_host_ = false;
  // More than one batch: BatchWindows() takes 64 of them.
  std::vector<int32_t> ids_ = demo_.Tokens(70);
  std::function<bool()> cancelled_;
};

TEST_F(CalibrationStateTest, AShardStartsBehindTheFullPrecisionPrefix) {
  const CalibrationState state = Start(2, true).value();
  const Tensor h = EmbedTokens(*backend_, *demo_.full, ids_).value();
  for (int64_t i = 0; i < 2; ++i) {
    TransformerBlock block =
        TransformerBlock::Create(*backend_, demo_.config(), i, DemoModel::kWindowLength).value();
    ASSERT_TRUE(block.Forward(demo_.full->Block(*backend_, i).value(), h).ok());
  }
  EXPECT_EQ(state.next_block, 2);
  EXPECT_EQ(state.tokens(), static_cast<int64_t>(ids_.size()));
  EXPECT_EQ(Values(*backend_, state.quantized), Values(*backend_, h));
  EXPECT_EQ(Values(*backend_, state.full_precision), Values(*backend_, h));
}

TEST_F(CalibrationStateTest, TheFullPrecisionStreamIsKeptOnlyWhereAsymmetryNeedsIt) {
  QuantRecipe options;
  EXPECT_TRUE(NeedsFullPrecision(options));
  options.gptaq = 0;
  EXPECT_FALSE(NeedsFullPrecision(options));
  EXPECT_TRUE(Start(0, false)->full_precision.empty());
}

TEST_F(CalibrationStateTest, ARebuiltStateHasTheBitsOfTheWarmOne) {
  ExpectRebuiltStateToHaveTheSameBits(QuantRecipe());
}

TEST_F(CalibrationStateTest, ARebuiltStateHasTheBitsOfTheWarmOneWithOneStream) {
  QuantRecipe options;
  options.gptaq = 0;
  options.reorder = Reorder::kNone;
  ExpectRebuiltStateToHaveTheSameBits(options);
}

TEST_F(CalibrationStateTest, ARebuiltStateHasTheBitsOfTheWarmOneInTheHostsMemory) {
  on_host_ = true;
  ExpectRebuiltStateToHaveTheSameBits(QuantRecipe());
}

TEST_F(CalibrationStateTest, StatesInTheHostsMemoryHaveTheSameBits) {
  const CalibrationState on_device = Start(2, true).value();
  on_host_ = true;
  const CalibrationState on_host = Start(2, true).value();
  EXPECT_TRUE(on_host.on_host);
  EXPECT_EQ(Values(*backend_, on_host.quantized), Values(*backend_, on_device.quantized));
  EXPECT_EQ(Values(*backend_, on_host.full_precision), Values(*backend_, on_device.full_precision));
}

TEST_F(CalibrationStateTest, StatesLieInTheHostsMemoryWhereTheDevicesOwnHasNoRoom) {
  const ComputeLayout layout = {.activation_bytes = SizeOf(backend_->activation_type()),
                                .batch_tokens = backend_->batch_tokens(),
                                .own_memory = true};
  const auto streams = [&](int64_t tokens) {
    return ChooseStreams(*backend_, demo_.config(), QuantRecipe(), tokens,
                         DemoModel::kWindowLength);
  };
  EXPECT_TRUE(streams(1024).full_precision);
  EXPECT_FALSE(streams(1024).on_host);
  const std::optional<DeviceMemory> memory = backend_->memory();
  if (!memory.has_value()) {
    EXPECT_FALSE(streams(int64_t{1} << 40).on_host) << "there is one memory alone";
    return;
  }
  int64_t tokens = 1024;
  while (QuantizeMemory(demo_.config(), {tokens, DemoModel::kWindowLength, true}, layout).total() <=
         memory->total) {
    tokens *= 2;
  }
  EXPECT_TRUE(streams(tokens).on_host);
  EXPECT_FALSE(streams(tokens / 2).on_host);
}

TEST_F(CalibrationStateTest, StopsWhenCancelled) {
  cancelled_ = [] { return true; };
  EXPECT_EQ(Start(1, true).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(CalibrationStateTest, AnIdOutsideTheVocabularyIsRefused) {
  ids_[5] = static_cast<int32_t>(demo_.config().vocab_size);
  EXPECT_EQ(Start(0, false).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tern
