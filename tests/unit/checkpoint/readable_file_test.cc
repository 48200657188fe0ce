#include "checkpoint/readable_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>

#include "checkpoint/atomic_file.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReadableFileTest, ReadsFromAnyPlace) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "abcdef"), IsOk());
  const auto file = ReadableFile::Open(folder.File("x"));
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ((*file)->size(), 6);
  std::array<uint8_t, 2> bytes;
  ASSERT_THAT((*file)->Read(3, bytes), IsOk());
  EXPECT_THAT(bytes, ElementsAre('d', 'e'));
}

TEST(ReadableFileTest, AFileThatWasCutIsAnErrorWhereItIsRead) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "abcdef"), IsOk());
  const auto file = ReadableFile::Open(folder.File("x"));
  ASSERT_THAT(file, IsOk());
  std::filesystem::resize_file(folder.File("x"), 4);
  std::array<uint8_t, 3> bytes;
  EXPECT_THAT((*file)->Read(1, bytes), IsOk());
  EXPECT_THAT((*file)->Read(2, bytes),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("x: ends at byte 4")));
}

TEST(ReadableFileTest, AMissingFileIsNotFoundByName) {
  EXPECT_THAT(ReadableFile::Open("/nonexistent/x"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x")));
}

TEST(ReadableFileTest, FoldersAndPipesAreRefusedAtOnce) {
  const TempDir folder;
  ASSERT_EQ(mkfifo(folder.File("pipe").c_str(), 0600), 0);
  for (const std::string& path : {folder.path(), folder.File("pipe")}) {
    EXPECT_THAT(ReadableFile::Open(path),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
  }
}

}  // namespace
}  // namespace tern
