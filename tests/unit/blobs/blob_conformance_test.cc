// What every driver of the blob store must do. A new driver is added to the list at the end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/blobs/directory_blob_store.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A driver under test: opens the store of a folder, or again with what is in it.
struct BlobStoreFactory {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<BlobStore>>(const std::string& folder)> open;
};

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class BlobConformanceTest : public ::testing::TestWithParam<BlobStoreFactory> {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    blobs_.reset();
    auto blobs = GetParam().open(folder_.path());
    ASSERT_THAT(blobs, IsOk());
    blobs_ = *std::move(blobs);
  }
  void Put(const std::string& key, const std::string& content) {
    const auto writer = blobs_->Write(key);
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Append(Bytes(content)), IsOk());
    ASSERT_THAT((*writer)->Commit(), IsOk());
  }
  std::string Get(const std::string& key) {
    const auto reader = blobs_->Read(key);
    EXPECT_THAT(reader, IsOk());
    if (!reader.ok()) return "";
    return Content(**reader);
  }
  static std::string Content(BlobReader& reader) {
    std::string content(static_cast<size_t>(reader.size()), '\0');
    const auto read =
        reader.ReadAt(0, {reinterpret_cast<uint8_t*>(content.data()), content.size()});
    EXPECT_THAT(read, IsOk());
    EXPECT_EQ(*read, reader.size());
    return content;
  }
  std::vector<std::string> List(const std::string& prefix) {
    const auto keys = blobs_->List(prefix);
    EXPECT_THAT(keys, IsOk());
    return keys.ok() ? *keys : std::vector<std::string>();
  }

  TempDir folder_;
  std::unique_ptr<BlobStore> blobs_;
};

TEST_P(BlobConformanceTest, ABlobIsReadBackAsItWasAppended) {
  const auto writer = blobs_->Write("a/b");
  ASSERT_THAT(writer, IsOk());
  ASSERT_THAT((*writer)->Append(Bytes("one ")), IsOk());
  ASSERT_THAT((*writer)->Append(Bytes("")), IsOk());
  ASSERT_THAT((*writer)->Append(Bytes("two")), IsOk());
  ASSERT_THAT((*writer)->Commit(), IsOk());
  EXPECT_EQ(Get("a/b"), "one two");
}

TEST_P(BlobConformanceTest, AnEmptyBlobIsABlob) {
  Put("empty", "");
  EXPECT_EQ(Get("empty"), "");
  EXPECT_THAT(List(""), ElementsAre("empty"));
}

TEST_P(BlobConformanceTest, ABlobIsNotThereBeforeItIsCommitted) {
  const auto writer = blobs_->Write("a/b");
  ASSERT_THAT(writer, IsOk());
  ASSERT_THAT((*writer)->Append(Bytes("x")), IsOk());
  EXPECT_THAT(blobs_->Read("a/b"), IsError(absl::StatusCode::kNotFound, _));
  EXPECT_THAT(List(""), IsEmpty());
  ASSERT_THAT((*writer)->Commit(), IsOk());
  EXPECT_EQ(Get("a/b"), "x");
}

TEST_P(BlobConformanceTest, AnAbandonedBlobLeavesNothing) {
  {
    const auto writer = blobs_->Write("a/b");
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Append(Bytes("x")), IsOk());
  }
  EXPECT_THAT(blobs_->Read("a/b"), IsError(absl::StatusCode::kNotFound, _));
  EXPECT_THAT(List(""), IsEmpty());
}

TEST_P(BlobConformanceTest, ACommitReplacesTheEarlierBlob) {
  Put("a", "old");
  const auto reader = blobs_->Read("a");
  ASSERT_THAT(reader, IsOk());
  Put("a", "new content");
  EXPECT_EQ(Get("a"), "new content");
  EXPECT_EQ(Content(**reader), "old");
}

TEST_P(BlobConformanceTest, PartsAreReadAtAnyOffset) {
  Put("a", "0123456789");
  const auto reader = blobs_->Read("a");
  ASSERT_THAT(reader, IsOk());
  EXPECT_EQ((*reader)->size(), 10);
  std::vector<uint8_t> out(4);
  EXPECT_EQ(*(*reader)->ReadAt(3, out), 4);
  EXPECT_THAT(out, ElementsAre('3', '4', '5', '6'));
  EXPECT_EQ(*(*reader)->ReadAt(8, out), 2);
  EXPECT_EQ(*(*reader)->ReadAt(10, out), 0);
  EXPECT_THAT((*reader)->ReadAt(11, out), IsError(absl::StatusCode::kOutOfRange, _));
  EXPECT_THAT((*reader)->ReadAt(-1, out), IsError(absl::StatusCode::kOutOfRange, _));
}

TEST_P(BlobConformanceTest, AMissingBlobIsNotFound) {
  EXPECT_THAT(blobs_->Read("a/b"), IsError(absl::StatusCode::kNotFound, HasSubstr("a/b")));
}

TEST_P(BlobConformanceTest, APrefixIsNoBlob) {
  Put("a/b", "x");
  EXPECT_THAT(blobs_->Read("a"), IsError(absl::StatusCode::kNotFound, _));
}

TEST_P(BlobConformanceTest, AnOpenBlobStaysReadableWhenItIsDeleted) {
  Put("a", "content");
  const auto reader = blobs_->Read("a");
  ASSERT_THAT(reader, IsOk());
  ASSERT_THAT(blobs_->Delete("a"), IsOk());
  EXPECT_THAT(blobs_->Read("a"), IsError(absl::StatusCode::kNotFound, _));
  EXPECT_EQ(Content(**reader), "content");
}

TEST_P(BlobConformanceTest, DeletingWhatIsNotThereIsOk) {
  EXPECT_THAT(blobs_->Delete("a/b/c"), IsOk());
  EXPECT_THAT(blobs_->DeletePrefix("a/b"), IsOk());
}

TEST_P(BlobConformanceTest, DeletingAPrefixLeavesItsNeighbours) {
  for (const char* const key : {"jobs/1/a", "jobs/1/b/c", "jobs/10/a", "jobs/2"}) Put(key, "x");
  ASSERT_THAT(blobs_->DeletePrefix("jobs/1"), IsOk());
  EXPECT_THAT(List(""), ElementsAre("jobs/10/a", "jobs/2"));
}

TEST_P(BlobConformanceTest, BlobsAreListedInOrderBeneathAPrefix) {
  for (const char* const key : {"b/2", "b/10", "a", "b/1/x"}) Put(key, "x");
  EXPECT_THAT(List(""), ElementsAre("a", "b/1/x", "b/10", "b/2"));
  EXPECT_THAT(List("b"), ElementsAre("b/1/x", "b/10", "b/2"));
  EXPECT_THAT(List("c"), IsEmpty());
}

TEST_P(BlobConformanceTest, InvalidKeysAreRefused) {
  for (const char* const key : {"", "../a", "/etc/passwd", "a/../../b", ".hidden"}) {
    EXPECT_THAT(blobs_->Write(key), IsError(absl::StatusCode::kInvalidArgument, _)) << key;
    EXPECT_THAT(blobs_->Read(key), IsError(absl::StatusCode::kInvalidArgument, _)) << key;
    EXPECT_THAT(blobs_->Delete(key), IsError(absl::StatusCode::kInvalidArgument, _)) << key;
    EXPECT_THAT(blobs_->DeletePrefix(key), IsError(absl::StatusCode::kInvalidArgument, _)) << key;
  }
}

TEST_P(BlobConformanceTest, CommittedBlobsAreThereAfterReopeningAndUnfinishedOnesAreNot) {
  Put("a/b", "x");
  auto abandoned = blobs_->Write("a/c");
  ASSERT_THAT(abandoned, IsOk());
  ASSERT_THAT((*abandoned)->Append(Bytes("y")), IsOk());
  Open();
  EXPECT_THAT(List(""), ElementsAre("a/b"));
  EXPECT_EQ(Get("a/b"), "x");
}

TEST_P(BlobConformanceTest, FreeSpaceIsKnown) {
  const auto free = blobs_->FreeBytes();
  ASSERT_THAT(free, IsOk());
  EXPECT_GT(*free, 0);
}

// Each deletion may leave folders empty that the next writer needs.
TEST_P(BlobConformanceTest, WritersBesideDeletionsOfNeighboursAlwaysBegin) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string key = absl::StrCat("shared/deeper/still/", t, "/blob");
      for (int i = 0; i < 300; ++i) {
        EXPECT_THAT(blobs_->Write(key), IsOk());
        EXPECT_THAT(blobs_->Delete(key), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(BlobConformanceTest, APrefixIsDeletedWhileItIsWrittenTo) {
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) {
      EXPECT_THAT(blobs_->Write(absl::StrCat("jobs/1/folder", i % 7, "/", i)), IsOk());
    }
  });
  for (int i = 0; i < 300; ++i) EXPECT_THAT(blobs_->DeletePrefix("jobs/1"), IsOk());
  writer.join();
}

TEST_P(BlobConformanceTest, WritersAndDeletersOfNeighboursDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string key = absl::StrCat("shared/", t);
        Put(key, absl::StrCat("content ", i));
        EXPECT_EQ(Get(key), absl::StrCat("content ", i));
        EXPECT_THAT(blobs_->Delete(key), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(List(""), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Drivers, BlobConformanceTest,
    ::testing::Values(BlobStoreFactory{
        "Directory",
        [](const std::string& folder) { return OpenDirectoryBlobStore(folder + "/blobs"); }}),
    [](const ::testing::TestParamInfo<BlobStoreFactory>& info) { return info.param.name; });

}  // namespace
}  // namespace tern
