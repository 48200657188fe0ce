#include "checkpoint/checkpoint_sizes.h"

#include <gtest/gtest.h>

#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

TEST(CheckpointSizesTest, CountsBytesOnDiskAndWeights) {
  const TempDir folder;
  WriteModel(folder.File("model"), SmallConfigJson(), DType::kBF16);
  WritePacked(**ModelFolder::Open(folder.File("model")), {"pt2llm", 5, true},
              folder.File("packed"));
  const auto sizes = MeasureSizes(**PackedCheckpoint::Open(folder.File("packed")));
  ASSERT_THAT(sizes, IsOk());

  ASSERT_EQ(sizes->layers.size(), 14U);
  const LayerSize& q = sizes->layers.front();
  EXPECT_EQ(q.name, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(q.bytes, 8 * 2 + 2 * 8 * 2 * 2 + 8 * 4);
  EXPECT_DOUBLE_EQ(q.bits_per_weight, static_cast<double>(q.bytes) * 8 / 64);
  EXPECT_EQ(sizes->layers.back().name, "model.layers.1.mlp.down_proj");

  EXPECT_EQ(sizes->unquantized.at("model.embed_tokens.weight"), 256);
  EXPECT_EQ(sizes->unquantized.at("model.layers.1.input_layernorm.weight"), 16);
  EXPECT_EQ(sizes->unquantized.size(), 3U + 2 * 2);

  EXPECT_EQ(sizes->quantized_weights, 2 * (2 * 64 + 2 * 32 + 3 * 96));
  EXPECT_EQ(sizes->unquantized_weights, 2 * 128 + 8 + 2 * 16);
  EXPECT_EQ(sizes->unquantized_bytes, 2 * sizes->unquantized_weights);
  const double all_bytes = static_cast<double>(sizes->quantized_bytes + sizes->unquantized_bytes);
  const double all_weights =
      static_cast<double>(sizes->quantized_weights + sizes->unquantized_weights);
  EXPECT_DOUBLE_EQ(sizes->model_bits_per_weight, all_bytes * 8 / all_weights);
}

TEST(CheckpointSizesTest, FactorsOfRotationsCountAsBitsOfTheirLayers) {
  const TempDir folder;
  WriteModel(folder.File("model"), SmallConfigJson(), DType::kBF16);
  PackedFormat format = {"twla", 5, false};
  format.rotation = {RotationKind::kKotms, RotationFactorization::kBalanced};
  WritePacked(**ModelFolder::Open(folder.File("model")), format, folder.File("packed"));
  const auto sizes = MeasureSizes(**PackedCheckpoint::Open(folder.File("packed")));
  ASSERT_THAT(sizes, IsOk());
  EXPECT_EQ(sizes->layers.front().bytes, 8 * 2 + 2 * 8 * 2 * 2 + 2 * (16 + 4));
  EXPECT_EQ(sizes->rotation_bytes, 2 * 2 * (6 * (16 + 4) + (16 + 9)));
  EXPECT_DOUBLE_EQ(sizes->rotation_bits_per_weight,
                   static_cast<double>(sizes->rotation_bytes) * 8 /
                       static_cast<double>(sizes->quantized_weights));
}

TEST(CheckpointSizesTest, AWideLayerCosts185BitsAtGroupSize128) {
  // 1.6 bits of trits and two fp16 values for every 128 weights, without a permutation.
  const TernaryLayer layer = RandomLayer(64, 640, 128, false, 1);
  EXPECT_DOUBLE_EQ(static_cast<double>(layer.stored_bytes()) * 8 / (64 * 640), 1.85);
}

}  // namespace
}  // namespace tern
