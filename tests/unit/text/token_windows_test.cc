#include "checkpoint/text/token_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(TokenWindowsTest, TheDigestIsOfLittleEndianIds) {
  // printf '\x01\x00\x00\x00\x02\x01\x00\x00' | sha256sum
  const TokenWindows windows{{1, 258}, 1, 2};
  EXPECT_EQ(WindowsDigest(windows),
            "fb8bbe2ad3ab5292f19bc5d75bbab9b5fbddc5a78ce47ab41b2d3d59bca08596");
}

TEST(TokenWindowsTest, TheDigestCoversIdsBeyondItsBuffer) {
  TokenWindows windows{std::vector<int32_t>(3000, 7), 3, 1000};
  const std::string digest = WindowsDigest(windows);
  windows.ids.back() = 8;
  EXPECT_NE(WindowsDigest(windows), digest);
}

TEST(TokenWindowsTest, AnIdOutsideTheVocabularyIsNamed) {
  const TokenWindows windows{{0, 1, 2, 3}, 2, 2};
  EXPECT_TRUE(CheckVocabulary(windows, 4).ok());
  EXPECT_THAT(std::string(CheckVocabulary(windows, 3).message()),
              testing::HasSubstr("window 1, token 1: id 3"));
}

}  // namespace
}  // namespace tern
