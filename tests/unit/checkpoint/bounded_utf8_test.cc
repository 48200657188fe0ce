#include "checkpoint/bounded_utf8.h"

#include <gtest/gtest.h>

#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

TEST(BoundedUtf8Test, ShortTextStaysAsItIs) {
  EXPECT_EQ(BoundedUtf8("", 3), "");
  EXPECT_EQ(BoundedUtf8("modèle", 7), "modèle");
}

TEST(BoundedUtf8Test, LongTextIsCutAndMarked) {
  EXPECT_EQ(BoundedUtf8("abcdefgh", 7), "abcd...");
  EXPECT_EQ(BoundedUtf8("abcd", 3), "...");
}

TEST(BoundedUtf8Test, NoCharacterIsCutInTwo) {
  EXPECT_EQ(BoundedUtf8("abcèèèè", 7), "abc...");
  EXPECT_EQ(BoundedUtf8("abcèèèè", 8), "abcè...");
  EXPECT_EQ(BoundedUtf8("日本語日本語", 8), "日...");
}

TEST(BoundedUtf8Test, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(BoundedUtf8("mod\xE8le", 100), "mod\xEF\xBF\xBDle");
  EXPECT_EQ(BoundedUtf8("\x80\xFF", 100), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(BoundedUtf8("end\xE6\x97", 100), "end\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(BoundedUtf8Test, WhateverComesInValidUtf8WithinTheBoundGoesOut) {
  std::string text;
  for (int i = 0; i < 4096; ++i) text.push_back(static_cast<char>(i * 37 + i / 256));
  for (size_t bound = 3; bound < 64; ++bound) {
    const std::string bounded = BoundedUtf8(text, bound);
    EXPECT_LE(bounded.size(), bound);
    EXPECT_EQ(FindInvalidUtf8(bounded), std::nullopt);
  }
}

}  // namespace
}  // namespace tern
