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
  std::optional<RotationShape> rotation;
  if (layer.rotation.has_value()) rotation = layer.rotation->shape;
  return ReadTernaryLayer(**reader, "layer", rows, cols, group_size, rotation);
}

TernaryLayer RotatedLayer(int64_t rows, const RotationShape& shape) {
  TernaryLayer layer = RandomLayer(rows, shape.n1 * shape.n2, 128, false, 1);
  layer.rotation = RandomRotation(shape, 2);
  return layer;
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

TEST(TernaryLayerTest, RotationsSurviveTheRoundTrip) {
  for (const RotationShape& shape : {RotationShape{1, 30}, {10, 3}, {12, 25}, {64, 1}}) {
    const TernaryLayer layer = RotatedLayer(3, shape);
    const auto read = RoundTrip(layer);
    ASSERT_THAT(read, IsOk());
    ASSERT_TRUE(read->rotation.has_value());
    EXPECT_EQ(read->rotation->shape, shape);
    EXPECT_EQ(read->rotation->r1, layer.rotation->r1);
    EXPECT_EQ(read->rotation->r2, layer.rotation->r2);
  }
}

TEST(TernaryLayerTest, TheEffectiveWeightTimesAnInputIsTheStoredOneTimesTheRotatedInput) {
  const RotationShape shape = {12, 25};
  const TernaryLayer layer = RotatedLayer(5, shape);
  std::vector<float> stored(5 * 300);
  DequantizeStoredRows(layer, 0, 5, stored);
  std::vector<float> effective(5 * 300);
  Dequantize(layer, effective);

  const std::vector<float> x = [] {
    std::vector<float> values(300);
    for (int i = 0; i < 300; ++i) values[i] = static_cast<float>((i * 37) % 101) / 50.0F - 1.0F;
    return values;
  }();
  std::vector<double> rotated(300, 0.0);  // r1·X·r2
  for (int64_t i = 0; i < 12; ++i) {
    for (int64_t j = 0; j < 25; ++j) {
      for (int64_t k = 0; k < 12; ++k) {
        for (int64_t l = 0; l < 25; ++l) {
          rotated[i * 25 + j] += static_cast<double>(HalfToFloat(layer.rotation->r1[i * 12 + k])) *
                                 x[k * 25 + l] * HalfToFloat(layer.rotation->r2[l * 25 + j]);
        }
      }
    }
  }
  for (int64_t row = 0; row < 5; ++row) {
    double from_stored = 0;
    double from_effective = 0;
    for (int64_t c = 0; c < 300; ++c) {
      from_stored += stored[row * 300 + c] * rotated[c];
      from_effective += static_cast<double>(effective[row * 300 + c]) * x[c];
    }
    // Sums of 37 products in float32 per element, of about 1, and 300 elements.
    EXPECT_NEAR(from_effective, from_stored, 1e-4);
  }
}

TEST(TernaryLayerTest, AnIdentityRotationChangesNoBit) {
  TernaryLayer layer = RandomLayer(5, 300, 128, true, 4);
  std::vector<float> plain(5 * 300);
  Dequantize(layer, plain);
  StoredRotation& rotation = layer.rotation.emplace();
  rotation.shape = {12, 25};
  rotation.r1.resize(12 * 12);
  rotation.r2.resize(25 * 25);
  for (int i = 0; i < 12; ++i) rotation.r1[i * 13] = FloatToHalf(1.0F);
  for (int i = 0; i < 25; ++i) rotation.r2[i * 26] = FloatToHalf(1.0F);
  std::vector<float> folded(5 * 300);
  Dequantize(layer, folded);
  EXPECT_EQ(folded, plain);
}

TEST(TernaryLayerTest, ARowIsFoldedToTheSameBitsWhateverIsBesideIt) {
  const TernaryLayer layer = RotatedLayer(7, {10, 33});
  std::vector<float> whole(7 * 330);
  Dequantize(layer, whole);
  const RotationFold fold(*layer.rotation);
  for (int64_t row = 0; row < 7; ++row) {
    std::vector<float> alone(330);
    DequantizeStoredRows(layer, row, 1, alone);
    fold.Apply(alone);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), whole.begin() + row * 330));
  }
}

TEST(TernaryLayerTest, AnyStoredRowsAreDequantizedAsInTheWhole) {
  const TernaryLayer layer = RandomLayer(5, 300, 128, true, 4);
  std::vector<float> whole(5 * 300);
  Dequantize(layer, whole);
  std::vector<float> part(2 * 300);
  DequantizeStoredRows(layer, 2, 2, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 2 * 300));
}

TEST(TernaryLayerTest, StoredBytesAreThoseOfTheTensors) {
  const TernaryLayer layer = RandomLayer(4, 300, 128, true, 1);
  EXPECT_EQ(layer.stored_bytes(), 4 * 60 + 2 * 4 * 3 * 2 + 300 * 4);
  const TernaryLayer rotated = RotatedLayer(4, {12, 25});
  EXPECT_EQ(rotated.stored_bytes(), 4 * 60 + 2 * 4 * 3 * 2 + 2 * (12 * 12 + 25 * 25));
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

TEST(TernaryLayerTest, AFactorThatIsNotFiniteIsCorrupt) {
  TernaryLayer layer = RotatedLayer(2, {4, 6});
  layer.rotation->r2[7] = 0x7c00;
  ExpectCorrupt(layer, "rot2: inf at index 7");
}

TEST(TernaryLayerTest, AFactorThatIsNotOrthogonalIsCorrupt) {
  for (const uint16_t bit : {0x8000, 0x0400, 0x0080}) {  // sign, exponent, an eighth of the value
    TernaryLayer layer = RotatedLayer(2, {4, 6});
    layer.rotation->r1[5] ^= bit;
    ExpectCorrupt(layer, "rot1: not orthogonal");
    layer = RotatedLayer(2, {4, 6});
    layer.rotation->r2[35] ^= bit;
    ExpectCorrupt(layer, "rot2: not orthogonal");
  }
}

TEST(TernaryLayerTest, RoundingOrthogonalFactorsToHalfStaysWithinHalfTheTolerance) {
  for (const int64_t n : {1, 2, 3, 17, 64, 160}) {
    const StoredRotation rotation = RandomRotation({n, 1}, static_cast<uint32_t>(n));
    EXPECT_LE(OrthogonalityError(rotation.r1, n), kOrthogonalityTolerance / 2);
  }
  std::vector<uint16_t> identity = {0x3c00, 0, 0, 0x3c00};
  EXPECT_EQ(OrthogonalityError(identity, 2), 0);
  identity[1] = 0x3c00;  // rows (1, 1) and (0, 1)
  EXPECT_EQ(OrthogonalityError(identity, 2), 1);
}

TEST(TernaryLayerTest, FactorsOfAnotherShapeAreCorrupt) {
  const TernaryLayer layer = RotatedLayer(4, {12, 25});
  const std::string file = FileOf(layer);
  const auto reader = SafetensorsReader::Parse(
      {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "file");
  EXPECT_THAT(ReadTernaryLayer(**reader, "layer", 4, 300, 128, RotationShape{25, 12}),
              IsError(absl::StatusCode::kDataLoss,
                      HasSubstr("layer.rot1: shape [12,12] instead of [25,25]")));
}

TEST(TernaryLayerTest, ARotationThatShouldBeThereAndIsNotIsCorrupt) {
  const TernaryLayer layer = RandomLayer(4, 300, 128, false, 1);
  const std::string file = FileOf(layer);
  const auto reader = SafetensorsReader::Parse(
      {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "file");
  EXPECT_THAT(ReadTernaryLayer(**reader, "layer", 4, 300, 128, RotationShape{12, 25}),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("layer.rot1: missing")));
}

}  // namespace
}  // namespace tern
