#include "checkpoint/trits.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace tern {
namespace {

TEST(TritsTest, FiveTritsShareAByteLittleEndFirst) {
  const std::array<int8_t, 5> trits = {1, 0, -1, 1, -1};
  std::array<uint8_t, 1> packed{};
  PackTrits(trits, packed);
  EXPECT_EQ(packed[0], 2 * 1 + 1 * 3 + 0 * 9 + 2 * 27 + 0 * 81);
}

TEST(TritsTest, PaddingIsZeroTrits) {
  const std::array<int8_t, 2> trits = {-1, -1};
  std::array<uint8_t, 1> packed{};
  PackTrits(trits, packed);
  EXPECT_EQ(packed[0], 1 * 9 + 1 * 27 + 1 * 81);
}

TEST(TritsTest, EveryValidByteUnpacksToTritsThatPackToIt) {
  for (int byte = 0; byte < kTritByteValues; ++byte) {
    const std::array<uint8_t, 1> packed = {static_cast<uint8_t>(byte)};
    std::array<int8_t, 5> trits{};
    UnpackTrits(packed, trits);
    std::array<uint8_t, 1> again{};
    PackTrits(trits, again);
    EXPECT_EQ(again, packed);
  }
}

TEST(TritsTest, RowsOfEveryLengthSurviveTheRoundTrip) {
  std::mt19937 random(3);
  for (size_t length = 0; length < 64; ++length) {
    std::vector<int8_t> trits(length);
    for (int8_t& trit : trits) trit = static_cast<int8_t>(random() % 3) - 1;
    std::vector<uint8_t> packed(PackedTritBytes(static_cast<int64_t>(length)));
    PackTrits(trits, packed);
    EXPECT_TRUE(AreValidTrits(packed, static_cast<int64_t>(length)));
    std::vector<int8_t> unpacked(length);
    UnpackTrits(packed, unpacked);
    EXPECT_EQ(unpacked, trits);
  }
}

TEST(TritsTest, AByteOf243OrMoreIsInvalid) {
  EXPECT_TRUE(AreValidTrits(std::array<uint8_t, 2>{242, 0}, 10));
  EXPECT_FALSE(AreValidTrits(std::array<uint8_t, 2>{243, 0}, 10));
  EXPECT_FALSE(AreValidTrits(std::array<uint8_t, 2>{0, 255}, 10));
}

TEST(TritsTest, PaddingThatIsNotZeroIsInvalid) {
  EXPECT_TRUE(AreValidTrits(std::array<uint8_t, 1>{0 + 3 + 9 + 27 + 81}, 1));
  EXPECT_FALSE(AreValidTrits(std::array<uint8_t, 1>{0 + 3 + 9 + 27 + 2 * 81}, 1));
  EXPECT_FALSE(AreValidTrits(std::array<uint8_t, 1>{0 + 0 + 9 + 27 + 81}, 1));
}

TEST(TritsTest, ARowOfTheWrongLengthIsInvalid) {
  EXPECT_FALSE(AreValidTrits(std::array<uint8_t, 2>{121, 121}, 5));
  EXPECT_FALSE(AreValidTrits(std::array<uint8_t, 1>{121}, 6));
}

}  // namespace
}  // namespace tern
