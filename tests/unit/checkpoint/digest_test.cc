#include "checkpoint/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/atomic_file.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Sha256Test, MatchesTheStandardsExamples) {
  EXPECT_EQ(Sha256Hex(absl::string_view("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex(absl::string_view("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, PiecesGiveTheDigestOfTheWhole) {
  Sha256 sha;
  sha.Update(absl::string_view("a"));
  sha.Update(Bytes("bc"));
  EXPECT_EQ(sha.HexDigest(), Sha256Hex(absl::string_view("abc")));
}

TEST(Crc32cTest, MatchesTheCheckValue) { EXPECT_EQ(Crc32c(Bytes("123456789")), 0xe3069283U); }

TEST(Crc32cTest, MatchesTheExamplesOfRfc3720) {
  EXPECT_EQ(Crc32c(std::vector<uint8_t>(32, 0x00)), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::vector<uint8_t>(32, 0xff)), 0x62a8ab43U);
}

TEST(Crc32cTest, PiecesOfAnySizeGiveTheSumOfTheWhole) {
  std::string text;
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<char>(i * 37));
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const uint32_t head = ExtendCrc32c(0, Bytes(text).first(cut));
    EXPECT_EQ(ExtendCrc32c(head, Bytes(text).subspan(cut)), Crc32c(Bytes(text)));
  }
}

TEST(Crc32cTest, NothingHasSumZero) { EXPECT_EQ(Crc32c({}), 0U); }

TEST(DigestFileTest, GivesSizeAndSha256) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "abc"), IsOk());
  const auto digest = DigestFile(folder.File("x"));
  ASSERT_THAT(digest, IsOk());
  EXPECT_EQ(digest->size, 3);
  EXPECT_EQ(digest->sha256, Sha256Hex(absl::string_view("abc")));
}

TEST(DigestFileTest, FilesOfManyPiecesAreDigestedWhole) {
  const TempDir folder;
  std::string large(size_t{17} << 20, 'x');
  large.back() = 'y';
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), large), IsOk());
  EXPECT_EQ(DigestFile(folder.File("x"))->sha256, Sha256Hex(absl::string_view(large)));
}

TEST(DigestFileTest, AMissingFileIsNotFound) {
  EXPECT_THAT(DigestFile("/nonexistent/x"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x")));
}

}  // namespace
}  // namespace tern
