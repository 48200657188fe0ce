#include "checkpoint/packed_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/atomic_file.h"
#include "checkpoint/strict_json.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class PackedCheckpointTest : public ::testing::Test {
 protected:
  PackedCheckpointTest() {
    WriteModel(folder_.File("model"), SmallConfigJson(), DType::kBF16);
    WritePacked(**ModelFolder::Open(folder_.File("model")), {"pt2llm", 5, true}, path_);
  }

  std::string Read(const std::string& name) {
    return *ReadFile(path_ + "/" + name, kMaxJsonFileBytes);
  }

  // Flips a bit of a file in place.
  void Flip(const std::string& name, size_t byte) {
    std::string content = Read(name);
    content.at(byte) = static_cast<char>(content.at(byte) ^ 1);
    WriteText(path_ + "/" + name, content);
  }

  absl::Status OpenAndVerify() {
    const auto checkpoint = PackedCheckpoint::Open(path_);
    return checkpoint.ok() ? (*checkpoint)->Verify() : checkpoint.status();
  }

  TempDir folder_;
  std::string path_ = folder_.File("packed");
};

TEST_F(PackedCheckpointTest, AWholeOneOpensAndVerifies) {
  const auto checkpoint = PackedCheckpoint::Open(path_);
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_EQ((*checkpoint)->config().num_blocks, 2);
  EXPECT_EQ((*checkpoint)->format().group_size, 5);
  EXPECT_THAT((*checkpoint)->Verify(), IsOk());
}

TEST_F(PackedCheckpointTest, ARotatedOneWithLowBitActivationsOpensAndVerifies) {
  PackedFormat format = {"twla", 5, false};
  format.rotation = {RotationKind::kKotms, RotationFactorization::kReleased};
  format.activations = SomeActivations(2);
  path_ = folder_.File("rotated");
  WritePacked(**ModelFolder::Open(folder_.File("model")), format, path_);
  EXPECT_THAT(OpenAndVerify(), IsOk());
  const auto checkpoint = PackedCheckpoint::Open(path_);
  EXPECT_EQ((*checkpoint)->format().rotation, format.rotation);
  EXPECT_EQ((*checkpoint)->format().activations, format.activations);

  const std::string name = BlockFileName(0);
  for (size_t byte = 0; byte < Read(name).size(); byte += 41) {
    Flip(name, byte);
    EXPECT_THAT(OpenAndVerify(), IsError(absl::StatusCode::kDataLoss, HasSubstr(name)));
    Flip(name, byte);
  }
}

TEST_F(PackedCheckpointTest, FilesAreOpenedByBlock) {
  const auto checkpoint = PackedCheckpoint::Open(path_);
  ASSERT_THAT((*checkpoint)->OpenBlock(1), IsOk());
  EXPECT_TRUE((*(*checkpoint)->OpenBlock(1))->Has("model.layers.1.self_attn.q_proj.trits"));
  EXPECT_TRUE((*(*checkpoint)->OpenUnquantized())->Has("model.norm.weight"));
  EXPECT_THAT((*checkpoint)->OpenBlock(2),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("block 2 of 2")));
  EXPECT_THAT((*checkpoint)->OpenBlock(-1), Not(IsOk()));
}

TEST_F(PackedCheckpointTest, TheReportAndOtherFilesMayBeAddedLater) {
  WriteText(path_ + "/tern-report.json", "{}");
  WriteText(path_ + "/notes.txt", "mine");
  EXPECT_THAT(OpenAndVerify(), IsOk());
}

TEST_F(PackedCheckpointTest, AModelThatWasNotPackedIsRefused) {
  EXPECT_THAT(PackedCheckpoint::Open(folder_.File("model")),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a Tern checkpoint")));
}

TEST_F(PackedCheckpointTest, AMissingFolderOrManifestIsNotFound) {
  EXPECT_THAT(PackedCheckpoint::Open("/nonexistent"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/config.json")));
  std::filesystem::remove(path_ + "/" + kManifestFile);
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kNotFound, HasSubstr("tern-manifest.json")));
}

TEST_F(PackedCheckpointTest, AMissingFileIsDataLoss) {
  std::filesystem::remove(path_ + "/" + BlockFileName(1));
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kDataLoss,
                      HasSubstr("tern-block-00001.safetensors: listed in the manifest, but")));
}

TEST_F(PackedCheckpointTest, AManifestThatForgetsABlockIsDataLoss) {
  std::filesystem::remove(path_ + "/" + BlockFileName(1));
  RenewManifest(path_);
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kDataLoss,
                      HasSubstr("does not list tern-block-00001.safetensors")));
}

TEST_F(PackedCheckpointTest, ATruncatedFileIsDataLossWhenOpened) {
  std::filesystem::resize_file(path_ + "/" + BlockFileName(0), 100);
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kDataLoss,
                      HasSubstr("tern-block-00000.safetensors: 100 bytes, but the manifest says")));
}

TEST_F(PackedCheckpointTest, EveryFlippedBitIsDataLoss) {
  for (const std::string& name : {BlockFileName(1), std::string(kUnquantizedFile),
                                  std::string(kConfigFile), std::string("tokenizer.json")}) {
    const size_t size = Read(name).size();
    for (size_t byte = 0; byte < size; byte += 1 + size / 97) {
      Flip(name, byte);
      EXPECT_THAT(OpenAndVerify(), IsError(absl::StatusCode::kDataLoss, HasSubstr(name)))
          << name << " byte " << byte;
      Flip(name, byte);
    }
  }
  EXPECT_THAT(OpenAndVerify(), IsOk());
}

TEST_F(PackedCheckpointTest, AFaultInsideATensorIsPutDownToIt) {
  // The last byte of a block's file is of its last U8 tensor by name.
  const std::string name = BlockFileName(0);
  std::string content = Read(name);
  content.back() = static_cast<char>(250);
  WriteText(path_ + "/" + name, content);
  EXPECT_THAT(OpenAndVerify(),
              IsError(absl::StatusCode::kDataLoss,
                      AllOf(HasSubstr(name), HasSubstr("model.layers.0.self_attn.v_proj.trits"))));
}

TEST_F(PackedCheckpointTest, ABlockFileOfAnotherModelIsDataLossWhateverTheManifestSays) {
  WriteTensors(path_ + "/" + BlockFileName(0), {{"x", {DType::kU8, {1}, {1}}}});
  RenewManifest(path_);
  EXPECT_THAT(OpenAndVerify(), IsError(absl::StatusCode::kDataLoss, HasSubstr("model.layers.0.")));
}

TEST_F(PackedCheckpointTest, AFileThatIsNoSafetensorsIsDataLossWhateverTheManifestSays) {
  WriteText(path_ + "/" + kUnquantizedFile, "hello");
  RenewManifest(path_);
  EXPECT_THAT(OpenAndVerify(), IsError(absl::StatusCode::kDataLoss, HasSubstr(kUnquantizedFile)));
}

TEST_F(PackedCheckpointTest, AnIndexThatDisagreesIsDataLossWhateverTheManifestSays) {
  const std::string index = Read(kIndexFile);
  WriteText(path_ + "/" + kIndexFile, R"({"weight_map": {}})");
  RenewManifest(path_);
  EXPECT_THAT(OpenAndVerify(), IsError(absl::StatusCode::kDataLoss, HasSubstr("weight_map")));
  std::string wrong = index;
  wrong.replace(wrong.find("total_size\": ") + 13, 1, "9");
  WriteText(path_ + "/" + kIndexFile, wrong);
  RenewManifest(path_);
  EXPECT_THAT(OpenAndVerify(), IsError(absl::StatusCode::kDataLoss, HasSubstr("total_size")));
}

TEST_F(PackedCheckpointTest, EveryBadFileIsFound) {
  const auto bad_files = [&] {
    const auto bad = PackedCheckpoint::FindBadFiles(path_);
    std::vector<std::string> names;
    for (const auto& [name, fault] : *bad) {
      EXPECT_THAT(fault, IsError(absl::StatusCode::kDataLoss, HasSubstr(name)));
      names.push_back(name);
    }
    return names;
  };
  EXPECT_THAT(bad_files(), ElementsAre());
  Flip(BlockFileName(0), Read(BlockFileName(0)).size() - 1);
  Flip("tokenizer.json", 0);
  std::filesystem::remove(path_ + "/" + kUnquantizedFile);
  EXPECT_THAT(bad_files(), UnorderedElementsAre(BlockFileName(0), "tokenizer.json",
                                                std::string(kUnquantizedFile)));
  Flip(kConfigFile, 0);
  EXPECT_THAT(bad_files(), UnorderedElementsAre(std::string(kConfigFile), BlockFileName(0),
                                                "tokenizer.json", std::string(kUnquantizedFile)));
}

TEST_F(PackedCheckpointTest, FaultsThatTheManifestHidesAreFoundInEveryFile) {
  WriteTensors(path_ + "/" + BlockFileName(0), {{"x", {DType::kU8, {1}, {1}}}});
  WriteText(path_ + "/" + kIndexFile, R"({"weight_map": {}})");
  std::filesystem::remove(path_ + "/" + BlockFileName(1));
  RenewManifest(path_);
  const auto bad = PackedCheckpoint::FindBadFiles(path_);
  std::vector<std::string> names;
  for (const auto& file : *bad) names.push_back(file.name);
  EXPECT_THAT(names, UnorderedElementsAre(std::string(kManifestFile), BlockFileName(0),
                                          std::string(kIndexFile)));
}

TEST_F(PackedCheckpointTest, WithoutAManifestThereIsNothingToHoldFilesAgainst) {
  std::filesystem::remove(path_ + "/" + kManifestFile);
  EXPECT_THAT(PackedCheckpoint::FindBadFiles(path_),
              IsError(absl::StatusCode::kNotFound, HasSubstr("tern-manifest.json")));
}

TEST_F(PackedCheckpointTest, ADamagedManifestIsDataLoss) {
  WriteText(path_ + "/" + kManifestFile, "{");
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("tern-manifest.json")));
}

TEST_F(PackedCheckpointTest, AManifestOfANewerVersionIsNotDamaged) {
  WriteText(path_ + "/" + kManifestFile, R"({"manifest_version": 2, "files": {}})");
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("newer version")));
}

TEST_F(PackedCheckpointTest, AConfigThatIsNotAsTheManifestSaysIsDataLoss) {
  const std::string config = Read(kConfigFile);
  for (const std::string& damaged : {std::string("{"), std::string(), config + " "}) {
    WriteText(path_ + "/" + kConfigFile, damaged);
    EXPECT_THAT(PackedCheckpoint::Open(path_),
                IsError(absl::StatusCode::kDataLoss, HasSubstr("/config.json")));
  }
  std::filesystem::remove(path_ + "/" + kConfigFile);
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("/config.json")));
}

TEST_F(PackedCheckpointTest, AWholeConfigOfAnotherKindIsInvalid) {
  std::string config = Read(kConfigFile);
  config.replace(config.find("\"tern\""), 6, "\"gptq\"");
  WriteText(path_ + "/" + kConfigFile, config);
  RenewManifest(path_);
  EXPECT_THAT(PackedCheckpoint::Open(path_),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("not a Tern checkpoint")));
}

}  // namespace
}  // namespace tern
