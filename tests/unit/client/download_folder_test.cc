#include "client/download_folder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/digest.h"
#include "checkpoint/manifest.h"
#include "checkpoint/packed_format.h"
#include "tests/temp_dir.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

v1::QuantizationJob Job(const std::string& id, int64_t create_seconds = 1000) {
  v1::QuantizationJob job;
  job.set_name("namespaces/default/quantizationJobs/" + id);
  job.mutable_create_time()->set_seconds(create_seconds);
  return job;
}

v1::CheckpointFile File(int64_t index, const std::string& path, const std::string& bytes) {
  v1::CheckpointFile file;
  file.set_index(index);
  file.set_path(path);
  file.set_size_bytes(static_cast<int64_t>(bytes.size()));
  file.set_sha256(Sha256Hex(bytes));
  return file;
}

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::unique_ptr<DownloadFolder> OpenOrDie(const std::string& path, const v1::QuantizationJob& job) {
  auto folder = DownloadFolder::Open(path, job);
  EXPECT_TRUE(folder.ok()) << folder.status();
  return *std::move(folder);
}

TEST(DownloadFolderTest, FileAppearsWithItsLastPieceOnly) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  const v1::CheckpointFile file = File(1, "block", "abcdef");
  ASSERT_TRUE(folder->Append(file, 0, Bytes("abc")).ok());
  EXPECT_FALSE(fs::exists(dir.File("out/block")));
  EXPECT_EQ(folder->Next().file_index, 1);
  EXPECT_EQ(folder->Next().offset, 3);
  ASSERT_TRUE(folder->Append(file, 3, Bytes("def")).ok());
  EXPECT_TRUE(fs::exists(dir.File("out/block")));
  EXPECT_EQ(folder->Next().file_index, 2);
  EXPECT_EQ(folder->Next().offset, 0);
}

TEST(DownloadFolderTest, EmptyFileIsOneEmptyPiece) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  ASSERT_TRUE(folder->Append(File(1, "empty", ""), 0, {}).ok());
  EXPECT_TRUE(fs::exists(dir.File("out/empty")));
}

TEST(DownloadFolderTest, AnotherProcessGoesOnInTheMiddleOfAFile) {
  const TempDir dir;
  const v1::CheckpointFile first = File(1, "first", "12345");
  const v1::CheckpointFile second = File(2, "second", "abcdef");
  {
    const auto folder = OpenOrDie(dir.File("out"), Job("a"));
    ASSERT_TRUE(folder->Append(first, 0, Bytes("12345")).ok());
    ASSERT_TRUE(folder->Append(second, 0, Bytes("abcd")).ok());
  }
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  EXPECT_EQ(folder->Next().file_index, 2);
  EXPECT_EQ(folder->Next().offset, 4);
  EXPECT_TRUE(folder->Append(second, 4, Bytes("ef")).ok());
}

TEST(DownloadFolderTest, FileThatWasDamagedMeanwhileIsFetchedAgain) {
  const TempDir dir;
  {
    const auto folder = OpenOrDie(dir.File("out"), Job("a"));
    ASSERT_TRUE(folder->Append(File(1, "first", "12345"), 0, Bytes("12345")).ok());
    ASSERT_TRUE(folder->Append(File(2, "second", "67890"), 0, Bytes("67890")).ok());
  }
  std::ofstream(dir.File("out/first")) << "1234X";
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  EXPECT_EQ(folder->Next().file_index, 1);
  EXPECT_TRUE(*folder->Holds(File(2, "second", "67890")));
}

TEST(DownloadFolderTest, WrongDigestIsDataLossAndTheFileStartsAnew) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  const absl::Status status = folder->Append(File(1, "block", "abcdef"), 0, Bytes("abcdeX"));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(fs::exists(dir.File("out/block")));
  EXPECT_EQ(folder->Next().offset, 0);
}

TEST(DownloadFolderTest, PieceThatDoesNotFollowIsRefused) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  EXPECT_EQ(folder->Append(File(2, "b", "abc"), 0, Bytes("abc")).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(folder->Append(File(1, "b", "abc"), 1, Bytes("bc")).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(folder->Append(File(1, "b", "abc"), 0, Bytes("abcd")).code(),
            absl::StatusCode::kDataLoss);
}

TEST(DownloadFolderTest, NamesThatLeadOutOfTheFolderAreRefused) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  for (const char* name : {"../x", "/tmp/x", "a/b", "..", "", ".tern-download"}) {
    EXPECT_EQ(folder->Append(File(1, name, "x"), 0, Bytes("x")).code(), absl::StatusCode::kDataLoss)
        << name;
  }
}

TEST(DownloadFolderTest, CompleteRemovesItsStateAndLeavesTheFiles) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  const std::string manifest = ManifestJson({{"block", {3, Sha256Hex(absl::string_view("abc"))}}});
  ASSERT_TRUE(folder->Append(File(1, "block", "abc"), 0, Bytes("abc")).ok());
  ASSERT_TRUE(folder->Append(File(2, kManifestFile, manifest), 0, Bytes(manifest)).ok());
  EXPECT_TRUE(folder->Complete().ok());
  EXPECT_FALSE(fs::exists(dir.File("out/.tern-download")));
  EXPECT_TRUE(fs::exists(dir.File("out/block")));
}

TEST(DownloadFolderTest, CompleteRefusesWhatTheManifestContradicts) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  const std::string manifest = ManifestJson({{"block", {3, Sha256Hex(absl::string_view("abd"))}}});
  ASSERT_TRUE(folder->Append(File(1, "block", "abc"), 0, Bytes("abc")).ok());
  ASSERT_TRUE(folder->Append(File(2, kManifestFile, manifest), 0, Bytes(manifest)).ok());
  EXPECT_EQ(folder->Complete().code(), absl::StatusCode::kDataLoss);
}

TEST(DownloadFolderTest, CompleteRefusesAManifestWithMoreFiles) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  const std::string manifest = ManifestJson({{"block", {3, Sha256Hex(absl::string_view("abc"))}}});
  ASSERT_TRUE(folder->Append(File(1, kManifestFile, manifest), 0, Bytes(manifest)).ok());
  EXPECT_EQ(folder->Complete().code(), absl::StatusCode::kDataLoss);
}

TEST(DownloadFolderTest, FolderWithOtherFilesIsRefused) {
  const TempDir dir;
  std::ofstream(dir.File("notes.txt")) << "mine";
  EXPECT_EQ(DownloadFolder::Prepare(dir.path(), true).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DownloadFolder::Open(dir.path(), Job("a")).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DownloadFolderTest, FolderInUseIsRefused) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.path(), Job("a"));
  EXPECT_EQ(DownloadFolder::Open(dir.path(), Job("a")).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DownloadFolderTest, FolderOfAnotherJobIsRefused) {
  const TempDir dir;
  OpenOrDie(dir.path(), Job("a"));
  EXPECT_EQ(DownloadFolder::Open(dir.path(), Job("b")).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DownloadFolderTest, FolderOfAnEarlierJobWithTheSameNameIsRefused) {
  const TempDir dir;
  OpenOrDie(dir.path(), Job("a", 1000));
  EXPECT_EQ(DownloadFolder::Open(dir.path(), Job("a", 2000)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DownloadFolderTest, WholeCheckpointOfTheSameJobIsAccepted) {
  const TempDir dir;
  v1::QuantizationJob job = Job("a");
  job.mutable_report()->set_digest("123");
  std::ofstream(dir.File(kReportFile)) << R"({"job": ")" << job.name() << R"(", "digest": "123"})";
  EXPECT_TRUE(DownloadFolder::Open(dir.path(), job).ok());
}

TEST(DownloadFolderTest, WholeCheckpointWithAnotherDigestIsRefused) {
  const TempDir dir;
  v1::QuantizationJob job = Job("a");
  job.mutable_report()->set_digest("123");
  std::ofstream(dir.File(kReportFile)) << R"({"job": ")" << job.name() << R"(", "digest": "4"})";
  EXPECT_EQ(DownloadFolder::Open(dir.path(), job).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DownloadFolderTest, PrepareTakesADownloadOnlyWhenItMayResume) {
  const TempDir dir;
  OpenOrDie(dir.path(), Job("a"));
  EXPECT_FALSE(DownloadFolder::Prepare(dir.path(), false).ok());
  EXPECT_TRUE(DownloadFolder::Prepare(dir.path(), true).ok());
}

TEST(DownloadFolderTest, PrepareMakesTheFolderAndSaysSo) {
  const TempDir dir;
  EXPECT_TRUE(*DownloadFolder::Prepare(dir.File("x/y"), false));
  EXPECT_FALSE(*DownloadFolder::Prepare(dir.File("x/y"), false));
}

TEST(DownloadFolderTest, FileInPlaceOfTheFolderIsRefused) {
  const TempDir dir;
  std::ofstream(dir.File("file")) << "x";
  EXPECT_EQ(DownloadFolder::Prepare(dir.File("file"), true).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(DownloadFolderTest, DiscardLeavesNothing) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  ASSERT_TRUE(folder->Append(File(1, "first", "12345"), 0, Bytes("12345")).ok());
  ASSERT_TRUE(folder->Append(File(2, "second", "abcdef"), 0, Bytes("abcd")).ok());
  folder->Discard(/*made=*/true);
  EXPECT_FALSE(fs::exists(dir.File("out")));
}

// A file size limit stands in for a full disk: both end in the same status.
TEST(DownloadFolderTest, FullDiskIsResourceExhaustedAndLeavesNoPartOfTheFile) {
  const TempDir dir;
  const auto folder = OpenOrDie(dir.File("out"), Job("a"));
  const std::string large(100'000, 'x');
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {20'000, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = folder->Append(File(1, "large", large), 0, Bytes(large));
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_FALSE(fs::exists(dir.File("out/large")));
  EXPECT_FALSE(fs::exists(dir.File("out/.tern-download/part-1")));
}

}  // namespace
}  // namespace tern
