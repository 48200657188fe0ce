#include "checkpoint/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "checkpoint/atomic_file.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MappedFileTest, ShowsTheFilesBytes) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "abc"), IsOk());
  const auto file = MappedFile::Open(folder.File("x"));
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ((*file)->size(), 3);
  EXPECT_THAT((*file)->bytes(), ElementsAre('a', 'b', 'c'));
}

TEST(MappedFileTest, AnEmptyFileHasNoBytes) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), ""), IsOk());
  const auto file = MappedFile::Open(folder.File("x"));
  ASSERT_THAT(file, IsOk());
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST(MappedFileTest, BytesAreTheSameAfterTheirMemoryWasReleased) {
  const TempDir folder;
  const std::string content(100'000, 'z');
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), content), IsOk());
  const auto file = MappedFile::Open(folder.File("x"));
  ASSERT_THAT(file, IsOk());
  const auto part = (*file)->bytes().subspan(5000, 90'000);
  (*file)->WillNeed(part);
  (*file)->Release(part);
  for (const uint8_t byte : (*file)->bytes()) ASSERT_EQ(byte, 'z');
}

TEST(MappedFileTest, AMissingFileIsNotFoundByName) {
  EXPECT_THAT(MappedFile::Open("/nonexistent/model.safetensors"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/model.safetensors")));
}

TEST(MappedFileTest, AFolderIsRefused) {
  const TempDir folder;
  EXPECT_THAT(MappedFile::Open(folder.path()),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
}

TEST(MappedFileTest, APipeIsRefusedWithoutWaitingForAWriter) {
  const TempDir folder;
  ASSERT_EQ(mkfifo(folder.File("pipe").c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::Open(folder.File("pipe")),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
}

TEST(MappedFileTest, ADeviceIsRefused) {
  EXPECT_THAT(MappedFile::Open("/dev/zero"),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("/dev/zero")));
}

}  // namespace
}  // namespace tern
