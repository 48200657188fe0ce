#include "server/blobs/directory_blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "checkpoint/atomic_file.h"
#include "tests/temp_dir.h"
#include "tests/unit/blobs/small_disk.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using ::testing::_;
using ::testing::IsEmpty;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(DirectoryBlobStoreTest, DeletedBlobsLeaveNoEmptyFolders) {
  const TempDir folder;
  const auto blobs = OpenDirectoryBlobStore(folder.path());
  ASSERT_THAT(blobs, IsOk());
  for (const char* const key : {"jobs/1/a", "jobs/2/b"}) {
    const auto writer = (*blobs)->Write(key);
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Commit(), IsOk());
  }
  ASSERT_THAT((*blobs)->Delete("jobs/1/a"), IsOk());
  ASSERT_THAT((*blobs)->DeletePrefix("jobs/2"), IsOk());
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(DirectoryBlobStoreTest, WhatAKilledWriterLeftIsRemovedAtTheNextStart) {
  const TempDir folder;
  fs::create_directories(folder.File("jobs/1"));
  ASSERT_THAT(WriteFileAtomically(folder.File("jobs/1/.a.tmp-17-1"), "x"), IsOk());
  ASSERT_THAT(OpenDirectoryBlobStore(folder.path()), IsOk());
  EXPECT_FALSE(fs::exists(folder.File("jobs/1/.a.tmp-17-1")));
}

TEST(DirectoryBlobStoreTest, AFileInPlaceOfTheFolderIsRefused) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("file"), "x"), IsOk());
  EXPECT_FALSE(OpenDirectoryBlobStore(folder.File("file")).ok());
}

TEST(DirectoryBlobStoreTest, AFullDiskIsResourceExhaustedAndLeavesNothing) {
  const SmallDisk disk(1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a file system";
  const auto blobs = OpenDirectoryBlobStore(disk.path());
  ASSERT_THAT(blobs, IsOk());
  EXPECT_LE(*(*blobs)->FreeBytes(), 1 << 20);
  {
    const auto writer = (*blobs)->Write("jobs/1/a");
    ASSERT_THAT(writer, IsOk());
    EXPECT_THAT((*writer)->Append(Bytes(std::string(2 << 20, 'x'))),
                IsError(absl::StatusCode::kResourceExhausted, _));
  }
  EXPECT_THAT(*(*blobs)->List(""), IsEmpty());
  const auto writer = (*blobs)->Write("jobs/1/a");
  ASSERT_THAT(writer, IsOk());
  EXPECT_THAT((*writer)->Append(Bytes("fits")), IsOk());
  EXPECT_THAT((*writer)->Commit(), IsOk());
}

}  // namespace
}  // namespace tern
