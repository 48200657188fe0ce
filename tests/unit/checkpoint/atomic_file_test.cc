#include "checkpoint/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/errno_status.h"
#include "checkpoint/safetensors_writer.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/file_size_limit.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

size_t EntriesOf(const TempDir& folder) {
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    entries += entry.path().empty() ? 0 : 1;
  }
  return entries;
}

TEST(AtomicFileTest, TheFileAppearsWithCommit) {
  const TempDir folder;
  auto writer = AtomicFileWriter::Open(folder.File("x"));
  ASSERT_THAT(writer, IsOk());
  ASSERT_THAT((*writer)->Append(Bytes("one ")), IsOk());
  ASSERT_THAT((*writer)->Append(Bytes("two")), IsOk());
  EXPECT_FALSE(std::filesystem::exists(folder.File("x")));
  ASSERT_THAT((*writer)->Commit(), IsOk());
  EXPECT_EQ(*ReadFile(folder.File("x"), 100), "one two");
  EXPECT_EQ(EntriesOf(folder), 1U);
}

TEST(AtomicFileTest, WithoutCommitNothingIsLeft) {
  const TempDir folder;
  {
    auto writer = AtomicFileWriter::Open(folder.File("x"));
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Append(Bytes("text")), IsOk());
    EXPECT_EQ(EntriesOf(folder), 1U);
  }
  EXPECT_EQ(EntriesOf(folder), 0U);
}

TEST(AtomicFileTest, AnExistingFileIsReplacedWhole) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "a longer text"), IsOk());
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "short"), IsOk());
  EXPECT_EQ(*ReadFile(folder.File("x"), 100), "short");
}

TEST(AtomicFileTest, TwoWritersOfOneFileDoNotMeet) {
  const TempDir folder;
  auto first = AtomicFileWriter::Open(folder.File("x"));
  auto second = AtomicFileWriter::Open(folder.File("x"));
  ASSERT_THAT((*first)->Append(Bytes("first")), IsOk());
  ASSERT_THAT((*second)->Append(Bytes("second")), IsOk());
  ASSERT_THAT((*first)->Commit(), IsOk());
  ASSERT_THAT((*second)->Commit(), IsOk());
  EXPECT_EQ(*ReadFile(folder.File("x"), 100), "second");
}

TEST(AtomicFileTest, AMissingFolderIsNotFound) {
  EXPECT_THAT(WriteFileAtomically("/nonexistent/x", ""),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x")));
}

TEST(AtomicFileTest, AFileOverTheSizeLimitIsResourceExhaustedByName) {
  const TempDir folder;
  const FileSizeLimit limit(4096);
  const absl::Status status = WriteFileAtomically(folder.File("large"), std::string(10'000, 'x'));
  EXPECT_THAT(status, IsError(absl::StatusCode::kResourceExhausted, HasSubstr("large")));
  EXPECT_EQ(EntriesOf(folder), 0U);
}

TEST(AtomicFileTest, AFullDiskIsResourceExhaustedByName) {
  const TempDir folder;
  if (mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small file system";
  }
  const absl::Status status =
      WriteFileAtomically(folder.File("large"), std::string(1'000'000, 'x'));
  const size_t left = EntriesOf(folder);
  umount2(folder.path().c_str(), MNT_DETACH);
  EXPECT_THAT(status, IsError(absl::StatusCode::kResourceExhausted, HasSubstr("large")));
  EXPECT_EQ(left, 0U);
}

TEST(ErrnoStatusTest, WhatStopsAWriteForWantOfSpaceIsResourceExhausted) {
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    EXPECT_THAT(ErrnoStatus(error, "/data/x", "write"),
                IsError(absl::StatusCode::kResourceExhausted, HasSubstr("/data/x: cannot write")));
  }
}

TEST(AtomicFileTest, ASafetensorsFileThatDoesNotFitLeavesNothing) {
  const TempDir folder;
  const FileSizeLimit limit(4096);
  const std::vector<uint8_t> bytes(10'000);
  EXPECT_THAT(
      WriteSafetensorsFile(folder.File("x.safetensors"), {{"t", DType::kU8, {10'000}, bytes}}, {}),
      IsError(absl::StatusCode::kResourceExhausted, HasSubstr("x.safetensors")));
  EXPECT_EQ(EntriesOf(folder), 0U);
}

TEST(ReadFileTest, AFileOverTheLimitIsRefused) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), "12345"), IsOk());
  EXPECT_EQ(*ReadFile(folder.File("x"), 5), "12345");
  EXPECT_THAT(ReadFile(folder.File("x"), 4),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("at most 4")));
}

TEST(ReadFileTest, AFolderIsRefused) {
  const TempDir folder;
  EXPECT_THAT(ReadFile(folder.path(), 5),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
}

}  // namespace
}  // namespace tern
