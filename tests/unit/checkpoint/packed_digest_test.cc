#include "checkpoint/packed_digest.h"

#include <gtest/gtest.h>

#include "checkpoint/digest.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

std::string DigestOf(const OwnedTensors& tensors) {
  const TempDir folder;
  WriteTensors(folder.File("x"), tensors);
  return BlockDigest(**SafetensorsReader::Open(folder.File("x")));
}

TEST(PackedDigestTest, DependsOnNameDtypeShapeAndBytes) {
  const std::string base = DigestOf({{"a", {DType::kU8, {2, 2}, {1, 2, 3, 4}}}});
  EXPECT_EQ(base, DigestOf({{"a", {DType::kU8, {2, 2}, {1, 2, 3, 4}}}}));
  EXPECT_NE(base, DigestOf({{"b", {DType::kU8, {2, 2}, {1, 2, 3, 4}}}}));
  EXPECT_NE(base, DigestOf({{"a", {DType::kI8, {2, 2}, {1, 2, 3, 4}}}}));
  EXPECT_NE(base, DigestOf({{"a", {DType::kU8, {4}, {1, 2, 3, 4}}}}));
  EXPECT_NE(base, DigestOf({{"a", {DType::kU8, {2, 2}, {1, 2, 3, 5}}}}));
}

TEST(PackedDigestTest, BytesDoNotFlowFromOneTensorIntoTheNext) {
  EXPECT_NE(DigestOf({{"a", {DType::kU8, {2}, {1, 2}}}, {"b", {DType::kU8, {1}, {3}}}}),
            DigestOf({{"a", {DType::kU8, {1}, {1}}}, {"b", {DType::kU8, {2}, {2, 3}}}}));
}

TEST(PackedDigestTest, DoesNotDependOnTheFilesMetadata) {
  const TempDir folder;
  const std::vector<uint8_t> bytes = {1};
  ASSERT_THAT(WriteSafetensorsFile(folder.File("x"), {{"a", DType::kU8, {1}, bytes}},
                                   {{"written_by", "another"}}),
              IsOk());
  EXPECT_EQ(BlockDigest(**SafetensorsReader::Open(folder.File("x"))),
            DigestOf({{"a", {DType::kU8, {1}, {1}}}}));
}

TEST(PackedDigestTest, ACheckpointsIsThatOfItsBlocksInOrder) {
  EXPECT_EQ(CombineBlockDigests({"ab", "cd"}), Sha256Hex(absl::string_view("ab\ncd\n")));
  EXPECT_NE(CombineBlockDigests({"ab", "cd"}), CombineBlockDigests({"cd", "ab"}));

  const TempDir folder;
  WriteModel(folder.File("model"), SmallConfigJson(), DType::kBF16);
  WritePacked(**ModelFolder::Open(folder.File("model")), {"pt2llm", 5, true},
              folder.File("packed"));
  const auto checkpoint = PackedCheckpoint::Open(folder.File("packed"));
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_EQ(*PackedDigest(**checkpoint),
            CombineBlockDigests({BlockDigest(**(*checkpoint)->OpenBlock(0)),
                                 BlockDigest(**(*checkpoint)->OpenBlock(1))}));
}

}  // namespace
}  // namespace tern
