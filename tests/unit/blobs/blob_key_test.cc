#include <gtest/gtest.h>

#include <string>

#include "server/blobs/blob_store.h"

namespace tern {
namespace {

TEST(BlobKeyTest, PartsOfPlainCharactersAreValid) {
  EXPECT_TRUE(IsValidBlobKey("a"));
  EXPECT_TRUE(IsValidBlobKey("jobs/0af3/quantize-3/e5/tern-block-00003.safetensors"));
  EXPECT_TRUE(IsValidBlobKey(std::string(200, 'x')));
}

TEST(BlobKeyTest, WhateverMightLeadOutIsNot) {
  for (const char* const key : {"", "/", "/a", "a/", "a//b", "..", "a/../b", "a/./b", ".hidden",
                                "a/.tmp", "a\\b", "a b", "a\nb", "ä"}) {
    EXPECT_FALSE(IsValidBlobKey(key)) << key;
  }
  EXPECT_FALSE(IsValidBlobKey(absl::string_view("a\0b", 3)));
}

TEST(BlobKeyTest, LengthsAreBounded) {
  EXPECT_FALSE(IsValidBlobKey(std::string(201, 'x')));
  std::string key(200, 'x');
  key += "/" + key + "/" + key;
  EXPECT_FALSE(IsValidBlobKey(key));
}

}  // namespace
}  // namespace tern
