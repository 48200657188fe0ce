#include "checkpoint/tokenizer/utf8.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(Utf8Test, EveryCodePointIsWellFormedAndReadsBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0xD800) c = 0xE000;
    std::string text;
    AppendUtf8(c, text);
    ASSERT_EQ(FindInvalidUtf8(text), std::nullopt) << static_cast<uint32_t>(c);
    ASSERT_TRUE(FirstCodePoint(text) == c) << static_cast<uint32_t>(c);
    ASSERT_EQ(Utf8Length(text[0]), text.size());
    ASSERT_EQ(LastCharStart("x" + text), 1u);
  }
}

TEST(Utf8Test, NamesTheFirstMalformedByte) {
  const std::string ascii = "0123456789";
  EXPECT_EQ(FindInvalidUtf8(ascii + "\xFF"), 10u);
  EXPECT_EQ(FindInvalidUtf8(ascii + "é\x80"), 12u);
  EXPECT_EQ(FindInvalidUtf8(ascii + "\xC3"), 10u);
}

TEST(Utf8Test, OverlongFormsSurrogatesAndTooLargeValuesAreMalformed) {
  for (const char* text : {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                           "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE",
                           "\x80", "\xE2\x82", "\xE2\x28\xA1", "\xF0\x9F\x98"}) {
    EXPECT_EQ(FindInvalidUtf8(text), 0u);
  }
}

TEST(Utf8Test, WhiteSpaceIsUnicodes) {
  for (const char32_t c : {U'\t', U'\n', U' ', U'\u0085', U'\u00a0', U'\u2003', U'\u3000'}) {
    EXPECT_TRUE(IsWhiteSpace(c));
  }
  for (const char32_t c : {U'a', U'\0', U'\u180e', U'\u200b', U'\ufeff'}) {
    EXPECT_FALSE(IsWhiteSpace(c));
  }
}

}  // namespace
}  // namespace tern
