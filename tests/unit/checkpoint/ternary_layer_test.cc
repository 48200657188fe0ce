#include "checkpoint/ternary_layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/float_conversion.h"
#include "checkpoint/trits.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FileOf(const TernaryLayer& layer) {
  std::vector<TensorToWrite> tensors;
  AppendTensors("layer", layer, tensors);
  std::string file;
  EXPECT_THAT(WriteSafetensors(tensors, {},
                               [&file](std::span<const uint8_t> piece) {
                                 file.append(reinterpret_cast<const char*>(piece.data()),
                                             piece.size());
                                 return absl::OkStatus();
                               }),
              IsOk());
  return file;
}

// Writes the layer and reads it back as [rows, cols] with the group size.
absl::StatusOr<TernaryLayer> RoundTrip(const TernaryLayer& layer, int64_t rows, int64_t cols,
                                       int64_t group_size) {
  const std::string file = FileOf(layer);
  const auto reader = SafetensorsReader::Parse(
      {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "file");
  if (!reader.ok()) return reader.status();
  return ReadTernaryLayer(**reader, "layer", rows, cols, group_size);
}

absl::StatusOr<TernaryLayer> RoundTrip(const TernaryLayer& layer) {
  return RoundTrip(layer, layer.rows, layer.cols, layer.group_size);
}

void ExpectCorrupt(const TernaryLayer& layer, const std::string& message) {
  EXPECT_THAT(RoundTrip(layer), IsError(absl::StatusCode::kDataLoss,
                                        AllOf(HasSubstr("file: layer."), HasSubstr(message))));
}

TEST(TernaryLayerTest, LayersSurviveTheRoundTrip) {
  for (const int64_t cols : {1, 4, 5, 6, 127, 128, 129, 300}) {
    for (const bool permuted : {false, true}) {
      const TernaryLayer layer = RandomLayer(3, cols, 128, permuted, 11);
      const auto read = RoundTrip(layer);
      ASSERT_THAT(read, IsOk());
      EXPECT_EQ(read->trits, layer.trits);
      EXPECT_EQ(read->alpha, layer.alpha);
      EXPECT_EQ(read->mu, layer.mu);
      EXPECT_EQ(read->perm, layer.perm);
    }
  }
}

TEST(TernaryLayerTest, DequantizingPutsEachColumnWhereItCameFrom) {
  TernaryLayer layer;
  layer.rows = 2;
  layer.cols = 3;
  layer.group_size = 2;
  layer.trits.resize(2);
  PackTrits(std::vector<int8_t>{1, -1, 0}, std::span(layer.trits).first(1));
  PackTrits(std::vector<int8_t>{0, 1, -1}, std::span(layer.trits).last(1));
  for (const float alpha : {1.0F, 2.0F, 3.0F, 4.0F}) layer.alpha.push_back(FloatToHalf(alpha));
  for (const float mu : {0.5F, 0.25F, 0.0F, -1.0F}) layer.mu.push_back(FloatToHalf(mu));
  std::vector<float> weights(6);

  Dequantize(layer, weights);
  EXPECT_THAT(weights, ElementsAre(1.5F, -0.5F, 0.25F, 0.0F, 3.0F, -5.0F));

  layer.perm = {2, 0, 1};
  Dequantize(layer, weights);
  EXPECT_THAT(weights, ElementsAre(-0.5F, 0.25F, 1.5F, 3.0F, -5.0F, 0.0F));
}

TEST(TernaryLayerTest, AnyRowsAreDequantizedAsInTheWhole) {
  const TernaryLayer layer = RandomLayer(5, 300, 128, true, 4);
  std::vector<float> whole(5 * 300);
  Dequantize(layer, whole);
  std::vector<float> part(2 * 300);
  DequantizeRows(layer, 2, 2, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 2 * 300));
}

TEST(TernaryLayerTest, StoredBytesAreThoseOfTheTensors) {
  const TernaryLayer layer = RandomLayer(4, 300, 128, true, 1);
  EXPECT_EQ(layer.stored_bytes(), 4 * 60 + 2 * 4 * 3 * 2 + 300 * 4);
}

TEST(TernaryLayerTest, AMissingTensorIsCorrupt) {
  const TernaryLayer layer = RandomLayer(4, 10, 128, false, 1);
  std::vector<TensorToWrite> tensors;
  AppendTensors("layer", layer, tensors);
  const std::string file = FileOf(layer);
  const auto reader = SafetensorsReader::Parse(
      {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "file");
  EXPECT_THAT(ReadTernaryLayer(**reader, "other", 4, 10, 128),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("other.trits: missing")));
}

TEST(TernaryLayerTest, ShapesThatDisagreeWithTheModelAreCorrupt) {
  const TernaryLayer layer = RandomLayer(4, 300, 128, true, 1);
  EXPECT_THAT(RoundTrip(layer, 5, 300, 128),
              IsError(absl::StatusCode::kDataLoss,
                      HasSubstr("layer.trits: shape [4,60] instead of [5,60]")));
  EXPECT_THAT(RoundTrip(layer, 4, 300, 64),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("layer.alpha: shape")));
  EXPECT_THAT(RoundTrip(layer, 4, 299, 128),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("layer.")));
}

TEST(TernaryLayerTest, AByteThatIsNoFiveTritsIsCorrupt) {
  TernaryLayer layer = RandomLayer(4, 300, 128, false, 1);
  layer.trits[60 + 7] = 243;
  ExpectCorrupt(layer, "trits: row 1 holds a byte that is no five trits");
}

TEST(TernaryLayerTest, PaddingThatIsNotZeroIsCorrupt) {
  TernaryLayer layer = RandomLayer(1, 1, 128, false, 1);
  layer.trits[0] = 0;
  ExpectCorrupt(layer, "trits: row 0");
}

TEST(TernaryLayerTest, AGridThatIsNotFiniteIsCorrupt) {
  TernaryLayer layer = RandomLayer(4, 300, 128, false, 1);
  layer.alpha[5] = 0x7c00;
  ExpectCorrupt(layer, "alpha: inf at index 5");
  layer.alpha[5] = 0;
  layer.mu[2] = 0x7e00;
  ExpectCorrupt(layer, "mu: nan at index 2");
}

TEST(TernaryLayerTest, APermThatIsNoPermutationIsCorrupt) {
  TernaryLayer layer = RandomLayer(1, 10, 128, true, 1);
  layer.perm = {0, 1, 2, 3, 4, 5, 6, 7, 8, 8};
  ExpectCorrupt(layer, "perm: not a permutation: column 8 of 10 twice");
  layer.perm[9] = 10;
  ExpectCorrupt(layer, "perm: not a permutation: column 10 of 10 does not exist");
  layer.perm[9] = -1;
  ExpectCorrupt(layer, "column -1 of 10 does not exist");
}

}  // namespace
}  // namespace tern
