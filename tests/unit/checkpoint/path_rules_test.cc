#include "checkpoint/path_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/atomic_file.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(PlainFileNameTest, NamesOfFilesInAFolderAreAccepted) {
  EXPECT_TRUE(IsPlainFileName("model-00001-of-00002.safetensors"));
  EXPECT_TRUE(IsPlainFileName(".hidden"));
  EXPECT_TRUE(IsPlainFileName("..."));
}

TEST(PlainFileNameTest, WhateverLeadsElsewhereIsRefused) {
  EXPECT_FALSE(IsPlainFileName(""));
  EXPECT_FALSE(IsPlainFileName("."));
  EXPECT_FALSE(IsPlainFileName(".."));
  EXPECT_FALSE(IsPlainFileName("a/b"));
  EXPECT_FALSE(IsPlainFileName("/etc/passwd"));
  EXPECT_FALSE(IsPlainFileName("..\\x"));
  EXPECT_FALSE(IsPlainFileName(absl::string_view("a\0b", 3)));
  EXPECT_FALSE(IsPlainFileName("a\nb"));
  EXPECT_FALSE(IsPlainFileName(std::string(256, 'x')));
}

class ResolveBeneathTest : public ::testing::Test {
 protected:
  ResolveBeneathTest() {
    fs::create_directories(folder_.File("models/llama"));
    fs::create_directories(folder_.File("models-secret"));
    fs::create_directories(folder_.File("elsewhere"));
  }

  std::string Canonical(const std::string& name) { return fs::canonical(folder_.File(name)); }

  TempDir folder_;
  AllowedRoots roots_{{folder_.File("models")}, "--model-root"};
};

TEST_F(ResolveBeneathTest, APathBeneathARootIsMadeCanonical) {
  const auto resolved = ResolveBeneath(roots_, folder_.File("models/./llama/../llama/"));
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(*resolved, Canonical("models/llama"));
}

TEST_F(ResolveBeneathTest, TheRootItselfIsBeneathIt) {
  EXPECT_THAT(ResolveBeneath(roots_, folder_.File("models")), IsOk());
}

TEST_F(ResolveBeneathTest, APathOutsideIsRefusedWithTheRootsAndTheSetting) {
  EXPECT_THAT(ResolveBeneath(roots_, folder_.File("elsewhere")),
              IsError(absl::StatusCode::kPermissionDenied,
                      AllOf(HasSubstr(folder_.File("elsewhere")), HasSubstr(roots_.folders[0]),
                            HasSubstr("--model-root"))));
}

TEST_F(ResolveBeneathTest, DotsDoNotLeadOut) {
  EXPECT_THAT(ResolveBeneath(roots_, folder_.File("models/../elsewhere")),
              IsError(absl::StatusCode::kPermissionDenied, HasSubstr("outside")));
}

TEST_F(ResolveBeneathTest, ARootsNameIsNotAPrefix) {
  EXPECT_THAT(ResolveBeneath(roots_, folder_.File("models-secret")),
              IsError(absl::StatusCode::kPermissionDenied, HasSubstr("outside")));
}

TEST_F(ResolveBeneathTest, ASymlinkDoesNotLeadOut) {
  fs::create_directory_symlink(folder_.File("elsewhere"), folder_.File("models/link"));
  EXPECT_THAT(ResolveBeneath(roots_, folder_.File("models/link")),
              IsError(absl::StatusCode::kPermissionDenied, HasSubstr("outside")));
}

TEST_F(ResolveBeneathTest, ASymlinkWithinTheRootsIsFollowed) {
  fs::create_directory_symlink(folder_.File("models/llama"), folder_.File("models/link"));
  const auto resolved = ResolveBeneath(roots_, folder_.File("models/link"));
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(*resolved, Canonical("models/llama"));
}

TEST_F(ResolveBeneathTest, ARootMayBeASymlink) {
  fs::create_directory_symlink(folder_.File("models"), folder_.File("root"));
  const AllowedRoots roots{{folder_.File("root")}, "--model-root"};
  EXPECT_THAT(ResolveBeneath(roots, folder_.File("models/llama")), IsOk());
}

TEST_F(ResolveBeneathTest, WhatIsMissingInsideIsNotFound) {
  EXPECT_THAT(ResolveBeneath(roots_, folder_.File("models/none")),
              IsError(absl::StatusCode::kNotFound, HasSubstr("models/none")));
}

TEST_F(ResolveBeneathTest, WhatIsMissingOutsideIsRefusedLikeWhatIsThere) {
  EXPECT_THAT(ResolveBeneath(roots_, "/nonexistent"),
              IsError(absl::StatusCode::kPermissionDenied, HasSubstr("outside")));
}

TEST_F(ResolveBeneathTest, ARelativePathIsRefused) {
  EXPECT_THAT(ResolveBeneath(roots_, "models/llama"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("absolute")));
  EXPECT_THAT(ResolveBeneath(roots_, ""),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("absolute")));
}

TEST_F(ResolveBeneathTest, WithoutRootsNothingIsAllowed) {
  EXPECT_THAT(ResolveBeneath({{}, "--model-root"}, folder_.File("models")),
              IsError(absl::StatusCode::kPermissionDenied, HasSubstr("(none)")));
}

TEST_F(ResolveBeneathTest, AFolderWhoseEntryLeadsOutIsRefused) {
  ASSERT_THAT(WriteFileAtomically(folder_.File("elsewhere/secret"), "x"), IsOk());
  ASSERT_THAT(WriteFileAtomically(folder_.File("models/llama/config.json"), "{}"), IsOk());
  EXPECT_THAT(CheckEntriesBeneath(roots_, folder_.File("models/llama")), IsOk());
  fs::create_symlink(folder_.File("elsewhere/secret"), folder_.File("models/llama/tokenizer.json"));
  EXPECT_THAT(CheckEntriesBeneath(roots_, folder_.File("models/llama")),
              IsError(absl::StatusCode::kPermissionDenied, HasSubstr("tokenizer.json")));
}

}  // namespace
}  // namespace tern
