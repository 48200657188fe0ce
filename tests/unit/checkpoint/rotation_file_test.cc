#include "checkpoint/rotation_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

class RotationFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteModel(folder_.path(), SmallConfigJson("{}"), DType::kF32);
    auto model = ModelFolder::Open(folder_.path());
    ASSERT_THAT(model, IsOk());
    model_ = *std::move(model);
    format_.rotation = RotationFormat{RotationKind::kKotms, RotationFactorization::kBalanced};
    uint32_t seed = 1;
    for (const LinearKind kind : LinearKinds()) {
      const LinearShape shape = ShapeOf(model_->config(), kind);
      rotations_[kind] = RandomRotation(*format_.RotationOf(shape), seed++);
    }
  }

  absl::StatusOr<BlockRotations> WriteAndRead(const BlockRotations& rotations, int64_t block) {
    std::vector<uint8_t> file;
    const absl::Status written =
        WriteRotationFile(1, rotations, [&file](std::span<const uint8_t> piece) {
          file.insert(file.end(), piece.begin(), piece.end());
          return absl::OkStatus();
        });
    if (!written.ok()) return written;
    auto reader = SafetensorsReader::Parse(file, "file");
    if (!reader.ok()) return reader.status();
    return ReadRotationFile(**reader, model_->config(), format_, block);
  }

  TempDir folder_;
  std::unique_ptr<ModelFolder> model_;
  PackedFormat format_;
  BlockRotations rotations_;
};

TEST_F(RotationFileTest, WhatIsWrittenIsRead) {
  const auto read = WriteAndRead(rotations_, 1);
  ASSERT_THAT(read, IsOk());
  ASSERT_EQ(read->size(), LinearKinds().size());
  for (const auto& [kind, rotation] : rotations_) {
    EXPECT_EQ(read->at(kind).r1, rotation.r1);
    EXPECT_EQ(read->at(kind).r2, rotation.r2);
  }
}

TEST_F(RotationFileTest, AnotherBlocksFileIsRefused) {
  const auto read = WriteAndRead(rotations_, 0);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("model.layers.0."));
}

TEST_F(RotationFileTest, AFactorThatIsNotOrthogonalIsRefusedByName) {
  rotations_[LinearKind::kUp].r2[0] = 0x4000;  // 2
  const auto read = WriteAndRead(rotations_, 1);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(read.status().message()),
              HasSubstr("model.layers.1.mlp.up_proj.rot2: not orthogonal"));
}

TEST_F(RotationFileTest, ALayerThatIsMissingIsNamed) {
  rotations_.erase(LinearKind::kDown);
  EXPECT_THAT(std::string(WriteAndRead(rotations_, 1).status().message()),
              HasSubstr("model.layers.1.mlp.down_proj.rot1: missing"));
}

}  // namespace
}  // namespace tern
