#include "worker/model/weight_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/digest.h"
#include "checkpoint/manifest.h"
#include "checkpoint/packed_format.h"
#include "tests/temp_dir.h"
#include "tests/unit/model/demo_model.h"
#include "worker/model/outer_weights.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

std::vector<float> Dequantized(const TernaryLayer& layer) {
  std::vector<float> values(layer.rows * layer.cols);
  Dequantize(layer, values);
  return values;
}

class WeightSourceTest : public testing::Test {
 protected:
  void ExpectEqual(const Tensor& actual, const Tensor& expected) {
    ASSERT_EQ(actual.empty(), expected.empty());
    if (!actual.empty()) {
      EXPECT_EQ(DownloadFloats(*backend_, actual), DownloadFloats(*backend_, expected));
    }
  }

  // Norms and biases of `actual` are those of the model; its weights those of `layers`.
  void ExpectQuantizedBlock(const BlockWeights& actual, const BlockLayers& layers) {
    const BlockWeights full = LoadBlock(*backend_, *model_, 1).value();
    ExpectEqual(actual.attention_norm, full.attention_norm);
    ExpectEqual(actual.mlp_norm, full.mlp_norm);
    ExpectEqual(actual.q_norm, full.q_norm);
    ExpectEqual(actual.k_norm, full.k_norm);
    for (const LinearKind kind : LinearKinds()) {
      ExpectEqual(actual.bias.at(kind), full.bias.at(kind));
      EXPECT_EQ(DownloadFloats(*backend_, actual.weight.at(kind)), Dequantized(layers.at(kind)));
    }
  }

  const std::unique_ptr<Backend> backend_ = TestBackend();
  const std::unique_ptr<ModelFolder> model_ = OpenDemo();
};

TEST_F(WeightSourceTest, ATernaryWeightLeavesCopiesMadeBeforeAlone) {
  const BlockWeights full = LoadBlock(*backend_, *model_, 0).value();
  const std::vector<float> before = DownloadFloats(*backend_, full.weight.at(LinearKind::kQ));
  BlockWeights quantized = full;
  const TernaryLayer layer = CyclingLayer(model_->config(), LinearKind::kQ);
  ASSERT_TRUE(UseTernaryWeight(*backend_, LinearKind::kQ, layer, quantized).ok());
  EXPECT_EQ(DownloadFloats(*backend_, full.weight.at(LinearKind::kQ)), before);
  EXPECT_EQ(DownloadFloats(*backend_, quantized.weight.at(LinearKind::kQ)), Dequantized(layer));
}

TEST_F(WeightSourceTest, QuantizedWeightsTakeLayersFromTheCallbackAndTheRestFromTheModel) {
  const BlockLayers layers = CyclingLayers(model_->config());
  const auto source = QuantizedWeights(*model_, [&](int64_t block) -> absl::StatusOr<BlockLayers> {
    EXPECT_EQ(block, 1);
    return layers;
  });
  const auto block = source->Block(*backend_, 1);
  ASSERT_TRUE(block.ok()) << block.status();
  ExpectQuantizedBlock(*block, layers);
}

TEST_F(WeightSourceTest, AnErrorOfTheCallbackIsTheBlocks) {
  const auto source = QuantizedWeights(*model_, [](int64_t) -> absl::StatusOr<BlockLayers> {
    return absl::UnavailableError("no such block yet");
  });
  EXPECT_EQ(source->Block(*backend_, 0).status(), absl::UnavailableError("no such block yet"));
}

TEST_F(WeightSourceTest, APackedCheckpointNeedsNoModelBesideIt) {
  const TempDir folder;
  const BlockLayers layers = CyclingLayers(model_->config());
  const PackedFormat format = {.method = "pt2llm", .group_size = 128, .permuted = false};
  std::map<std::string, FileDigest> manifest;
  const auto add = [&](const std::string& name, const std::string& content) {
    std::ofstream(folder.File(name), std::ios::binary) << content;
    manifest[name] = {.size = static_cast<int64_t>(content.size()), .sha256 = Sha256Hex(content)};
  };
  std::string bytes;
  const ByteSink sink = [&](std::span<const uint8_t> piece) {
    bytes.append(piece.begin(), piece.end());
    return absl::OkStatus();
  };
  for (int64_t block = 0; block < model_->config().num_blocks; ++block) {
    bytes.clear();
    ASSERT_TRUE(WriteBlockFile(*model_, block, layers, sink).ok());
    add(BlockFileName(block), bytes);
  }
  bytes.clear();
  ASSERT_TRUE(WriteUnquantizedFile(*model_, sink).ok());
  add(kUnquantizedFile, bytes);
  add(kConfigFile, PackedConfigJson(model_->config_json(), format).value());
  add(kIndexFile, PackedIndexJson(*model_, format).value());
  std::ofstream(folder.File(kManifestFile)) << ManifestJson(manifest);

  const auto checkpoint = PackedCheckpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto source = PackedWeights(**checkpoint);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto block = (*source)->Block(*backend_, 1);
  ASSERT_TRUE(block.ok()) << block.status();
  ExpectQuantizedBlock(*block, layers);
  ExpectEqual(EmbedTokens(*backend_, **source, SomeTokens(9, 100)).value(),
              EmbedTokens(*backend_, *FullPrecisionWeights(*model_), SomeTokens(9, 100)).value());
}

TEST_F(WeightSourceTest, EmbeddingATokenOutsideTheVocabularyNamesIt) {
  const auto source = FullPrecisionWeights(*model_);
  for (const int32_t id : {-1, 2048}) {
    const std::vector<int32_t> ids = {5, id};
    const auto h = EmbedTokens(*backend_, *source, ids);
    EXPECT_EQ(h.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(h.status().message()), HasSubstr("token id " + std::to_string(id)));
  }
}

TEST_F(WeightSourceTest, EmbeddingsAreTheTablesRows) {
  const int64_t hidden = model_->config().hidden_size;
  std::vector<float> table(model_->config().vocab_size * hidden);
  ASSERT_TRUE(model_->ReadFloat("model.embed_tokens.weight", table).ok());
  const std::vector<int32_t> ids = {7, 2047, 7, 0};
  const auto h = EmbedTokens(*backend_, *FullPrecisionWeights(*model_), ids);
  ASSERT_TRUE(h.ok()) << h.status();
  std::vector<float> expected;
  for (const int32_t id : ids) {
    expected.insert(expected.end(), table.begin() + id * hidden, table.begin() + (id + 1) * hidden);
  }
  EXPECT_EQ(DownloadFloats(*backend_, *h), expected);
}

}  // namespace
}  // namespace tern
