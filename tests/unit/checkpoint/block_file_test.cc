#include "checkpoint/block_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/packed_digest.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

class BlockFileTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    WriteModel(folder_.path(), SmallConfigJson(R"({"attention_bias": true})"), DType::kF32);
    auto model = ModelFolder::Open(folder_.path());
    ASSERT_THAT(model, IsOk());
    model_ = *std::move(model);
    format_ = {"pt2llm", 5, GetParam()};
  }

  absl::StatusOr<std::string> Write(const BlockLayers& layers) const {
    std::string file;
    const absl::Status status =
        WriteBlockFile(*model_, 1, layers, [&file](std::span<const uint8_t> piece) {
          file.append(reinterpret_cast<const char*>(piece.data()), piece.size());
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
    return file;
  }

  static std::unique_ptr<SafetensorsReader> Reader(const std::string& file) {
    return *SafetensorsReader::Parse({reinterpret_cast<const uint8_t*>(file.data()), file.size()},
                                     "file");
  }

  TempDir folder_;
  std::unique_ptr<ModelFolder> model_;
  PackedFormat format_;
};

TEST_P(BlockFileTest, LayersNormsAndBiasesSurviveTheRoundTrip) {
  const BlockLayers layers = RandomLayers(model_->config(), format_, 1);
  const auto file = Write(layers);
  ASSERT_THAT(file, IsOk());
  const auto reader = Reader(*file);
  const auto read = ReadBlockLayers(*reader, model_->config(), format_, 1);
  ASSERT_THAT(read, IsOk());
  ASSERT_EQ(read->size(), 7U);
  for (const auto& [kind, layer] : layers) {
    EXPECT_EQ(read->at(kind).trits, layer.trits);
    EXPECT_EQ(read->at(kind).perm, layer.perm);
  }
  for (const ExpectedTensor& tensor : UnquantizedBlockTensors(model_->config(), 1)) {
    const auto stored = reader->Get(tensor.name);
    ASSERT_THAT(stored, IsOk());
    EXPECT_EQ(stored->dtype, DType::kF32);
    EXPECT_THAT(stored->bytes, ::testing::ElementsAreArray(model_->Get(tensor.name)->bytes));
  }
}

TEST_P(BlockFileTest, EqualLayersGiveEqualBytesAndDigests) {
  const auto first = Write(RandomLayers(model_->config(), format_, 1));
  const auto second = Write(RandomLayers(model_->config(), format_, 1));
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(BlockDigest(*Reader(*first)), BlockDigest(*Reader(*second)));
}

TEST_P(BlockFileTest, TheTensorsAreThoseTheIndexLists) {
  const auto file = Write(RandomLayers(model_->config(), format_, 1));
  const auto reader = Reader(*file);
  EXPECT_THAT(CheckFileTensors(*reader, BlockFileTensors(model_->config(), format_, 1)), IsOk());
  EXPECT_EQ(reader->tensors().size(), BlockFileTensors(model_->config(), format_, 1).size());
}

TEST_P(BlockFileTest, AFileOfTheOtherPermutationIsCorrupt) {
  const auto file = Write(RandomLayers(model_->config(), format_, 1));
  PackedFormat other = format_;
  other.permuted = !other.permuted;
  EXPECT_THAT(ReadBlockLayers(*Reader(*file), model_->config(), other, 1),
              IsError(absl::StatusCode::kDataLoss, HasSubstr(".perm: ")));
}

TEST_P(BlockFileTest, AFileOfAnotherBlockIsCorrupt) {
  const auto file = Write(RandomLayers(model_->config(), format_, 1));
  EXPECT_THAT(ReadBlockLayers(*Reader(*file), model_->config(), format_, 0),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("model.layers.0.")));
}

TEST_P(BlockFileTest, AMissingLayerIsNotWritten) {
  BlockLayers layers = RandomLayers(model_->config(), format_, 1);
  layers.erase(LinearKind::kUp);
  EXPECT_THAT(Write(layers), IsError(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("model.layers.1.mlp.up_proj: not among")));
}

TEST_P(BlockFileTest, ALayerOfTheWrongShapeIsNotWritten) {
  BlockLayers layers = RandomLayers(model_->config(), format_, 1);
  layers[LinearKind::kUp] = RandomLayer(12, 9, 5, GetParam(), 1);
  EXPECT_THAT(Write(layers),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("quantized as [12,9] but config.json implies [12,8]")));
}

TEST_P(BlockFileTest, LayersThatAreNotAllPermutedAreNotWritten) {
  BlockLayers layers = RandomLayers(model_->config(), format_, 1);
  layers[LinearKind::kUp] = RandomLayer(12, 8, 5, !GetParam(), 1);
  EXPECT_THAT(Write(layers),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("permuted or none")));
}

TEST_P(BlockFileTest, RotationsSurviveTheRoundTrip) {
  format_.rotation = {RotationKind::kKotms, RotationFactorization::kReleased};
  const BlockLayers layers = RandomLayers(model_->config(), format_, 1);
  const auto file = Write(layers);
  ASSERT_THAT(file, IsOk());
  const auto reader = Reader(*file);
  const auto read = ReadBlockLayers(*reader, model_->config(), format_, 1);
  ASSERT_THAT(read, IsOk());
  for (const auto& [kind, layer] : layers) {
    EXPECT_EQ(read->at(kind).rotation->r1, layer.rotation->r1);
    EXPECT_EQ(read->at(kind).rotation->r2, layer.rotation->r2);
    EXPECT_EQ(layer.stored_bytes(), PackedLayerBytes(ShapeOf(model_->config(), kind), format_));
  }
}

TEST_P(BlockFileTest, AFileOfTheOtherRotationIsCorrupt) {
  PackedFormat rotated = format_;
  rotated.rotation = {RotationKind::kKotms, RotationFactorization::kReleased};
  const auto plain_file = Write(RandomLayers(model_->config(), format_, 1));
  const auto rotated_file = Write(RandomLayers(model_->config(), rotated, 1));
  EXPECT_THAT(ReadBlockLayers(*Reader(*plain_file), model_->config(), rotated, 1),
              IsError(absl::StatusCode::kDataLoss, HasSubstr(".rot1: missing")));
  EXPECT_THAT(ReadBlockLayers(*Reader(*rotated_file), model_->config(), format_, 1),
              IsError(absl::StatusCode::kDataLoss, HasSubstr(".rot1: does not belong here")));
}

TEST_P(BlockFileTest, LayersThatAreNotAllRotatedAreNotWritten) {
  BlockLayers layers = RandomLayers(model_->config(), format_, 1);
  layers[LinearKind::kUp].rotation = RandomRotation({4, 2}, 1);
  EXPECT_THAT(Write(layers),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("rotated or none")));
}

TEST_P(BlockFileTest, ARotationOfTheWrongSizeIsNotWritten) {
  format_.rotation = {RotationKind::kKotms, RotationFactorization::kReleased};
  for (const RotationShape& shape : {RotationShape{4, 3}, {0, 0}}) {
    BlockLayers layers = RandomLayers(model_->config(), format_, 1);
    layers[LinearKind::kUp].rotation = RandomRotation(shape, 1);
    EXPECT_THAT(Write(layers),
                IsError(absl::StatusCode::kInvalidArgument,
                        HasSubstr("mlp.up_proj: the factors of its rotation are not those of")));
  }
}

INSTANTIATE_TEST_SUITE_P(Permuted, BlockFileTest, ::testing::Bool());

}  // namespace
}  // namespace tern
