#include "checkpoint/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoint/atomic_file.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/strict_json.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/file_size_limit.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class ExportTest : public ::testing::Test {
 protected:
  std::unique_ptr<PackedCheckpoint> Pack(const std::string& config_json, DType dtype) {
    WriteModel(folder_.File("model"), config_json, dtype);
    model_ = *ModelFolder::Open(folder_.File("model"));
    WritePacked(*model_, format_, folder_.File("packed"));
    return *PackedCheckpoint::Open(folder_.File("packed"));
  }

  std::vector<std::string> Entries(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  nlohmann::json ReadJson(const std::string& path) {
    return nlohmann::json::parse(*ReadFile(path, kMaxJsonFileBytes));
  }

  TempDir folder_;
  PackedFormat format_ = {"pt2llm", 5, true};
  std::unique_ptr<ModelFolder> model_;
  std::string out_ = folder_.File("out");
};

TEST_F(ExportTest, TheFolderIsAModelWithTheDequantizedWeights) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kF32);
  ASSERT_THAT(ExportBf16(*checkpoint, out_), IsOk());
  EXPECT_THAT(Entries(out_),
              UnorderedElementsAre("config.json", "model.safetensors", "tokenizer.json"));
  const auto exported = ModelFolder::Open(out_);
  ASSERT_THAT(exported, IsOk());
  for (int64_t block = 0; block < 2; ++block) {
    for (const auto& [kind, layer] : RandomLayers(model_->config(), format_, block)) {
      std::vector<float> expected(layer.rows * layer.cols);
      Dequantize(layer, expected);
      for (float& value : expected) value = Bf16ToFloat(FloatToBf16(value));
      std::vector<float> actual(expected.size());
      ASSERT_THAT((*exported)->ReadFloat(LinearName(block, kind) + ".weight", actual), IsOk());
      EXPECT_EQ(actual, expected);
    }
  }
}

TEST_F(ExportTest, ARotationIsFoldedBackIntoTheWeights) {
  format_ = {"twla", 5, false};
  format_.rotation = {RotationKind::kKotms, RotationFactorization::kBalanced};
  const auto checkpoint = Pack(SmallConfigJson(), DType::kF32);
  ASSERT_THAT(ExportBf16(*checkpoint, out_), IsOk());
  EXPECT_THAT(Entries(out_),
              UnorderedElementsAre("config.json", "model.safetensors", "tokenizer.json"));
  const auto exported = ModelFolder::Open(out_);
  ASSERT_THAT(exported, IsOk());
  for (const auto& [kind, layer] : RandomLayers(model_->config(), format_, 1)) {
    std::vector<float> expected(layer.rows * layer.cols);
    Dequantize(layer, expected);
    for (float& value : expected) value = Bf16ToFloat(FloatToBf16(value));
    std::vector<float> actual(expected.size());
    ASSERT_THAT((*exported)->ReadFloat(LinearName(1, kind) + ".weight", actual), IsOk());
    EXPECT_EQ(actual, expected);
  }
}

TEST_F(ExportTest, LowBitActivationsAreNotExportedAndTheFolderSaysSo) {
  format_.activations = SomeActivations(2);
  const auto checkpoint = Pack(SmallConfigJson(), DType::kF32);
  ASSERT_THAT(ExportBf16(*checkpoint, out_), IsOk());
  const std::string note = ExportNote(format_);
  EXPECT_THAT(note, HasSubstr("16-bit activations"));
  EXPECT_THAT(note, HasSubstr("3 bits on average"));
  EXPECT_THAT(*ReadFile(out_ + "/README.md", kMaxJsonFileBytes), HasSubstr(note));
  const nlohmann::json config = ReadJson(out_ + "/config.json");
  EXPECT_EQ(config["tern_export"]["activation_bits"], 16);
  EXPECT_EQ(config["tern_export"]["note"], note);
  EXPECT_FALSE(config.contains("quantization_config"));
  EXPECT_THAT(ModelFolder::Open(out_), IsOk());
}

TEST_F(ExportTest, WhatStayedUnquantizedIsRoundedFromTheSource) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    fs::remove_all(folder_.File("model"));
    fs::remove_all(folder_.File("packed"));
    fs::remove_all(out_);
    const auto checkpoint = Pack(SmallConfigJson(), dtype);
    ASSERT_THAT(ExportBf16(*checkpoint, out_), IsOk());
    std::vector<float> source(128);
    ASSERT_THAT(model_->ReadFloat("lm_head.weight", source), IsOk());
    const auto exported = ModelFolder::Open(out_);
    EXPECT_EQ((*exported)->Get("lm_head.weight")->dtype, DType::kBF16);
    std::vector<float> actual(128);
    ASSERT_THAT((*exported)->ReadFloat("lm_head.weight", actual), IsOk());
    for (size_t i = 0; i < source.size(); ++i) {
      EXPECT_EQ(actual[i], Bf16ToFloat(FloatToBf16(source[i])));
    }
  }
}

TEST_F(ExportTest, TheConfigIsTheSourcesInBfloat16) {
  const auto checkpoint = Pack(SmallConfigJson(R"({"torch_dtype": "float32"})"), DType::kF32);
  ASSERT_THAT(ExportBf16(*checkpoint, out_), IsOk());
  nlohmann::json expected = nlohmann::json::parse(SmallConfigJson());
  EXPECT_EQ(ReadJson(out_ + "/config.json"), expected);
}

TEST_F(ExportTest, TheNewSpellingOfTheDtypeIsKept) {
  const auto checkpoint =
      Pack(SmallConfigJson(R"({"torch_dtype": null, "dtype": "float16"})"), DType::kF16);
  ASSERT_THAT(ExportBf16(*checkpoint, out_), IsOk());
  const nlohmann::json config = ReadJson(out_ + "/config.json");
  EXPECT_EQ(config["dtype"], "bfloat16");
  EXPECT_FALSE(config.contains("torch_dtype"));
}

TEST_F(ExportTest, ALargeModelIsCutIntoShardsWithAnIndex) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kBF16);
  ASSERT_THAT(ExportBf16(*checkpoint, out_, /*shard_bytes=*/1200), IsOk());
  const nlohmann::json index = ReadJson(out_ + "/model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], 2 * model_->parameters());
  EXPECT_TRUE(fs::exists(out_ + "/model-00001-of-00003.safetensors"));
  EXPECT_TRUE(fs::exists(out_ + "/model-00003-of-00003.safetensors"));
  const auto exported = ModelFolder::Open(out_);
  ASSERT_THAT(exported, IsOk());
  ASSERT_THAT(ExportBf16(*checkpoint, folder_.File("whole")), IsOk());
  const auto whole = ModelFolder::Open(folder_.File("whole"));
  for (const ExpectedTensor& tensor : model_->Tensors()) {
    EXPECT_THAT((*exported)->Get(tensor.name)->bytes,
                ::testing::ElementsAreArray((*whole)->Get(tensor.name)->bytes));
  }
}

TEST_F(ExportTest, AnEmptyFolderIsFilled) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kBF16);
  fs::create_directory(out_);
  EXPECT_THAT(ExportBf16(*checkpoint, out_ + "/"), IsOk());
  EXPECT_TRUE(fs::exists(out_ + "/model.safetensors"));
}

TEST_F(ExportTest, AFolderThatIsNotEmptyIsLeftAlone) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kBF16);
  fs::create_directory(out_);
  WriteText(out_ + "/mine.txt", "mine");
  EXPECT_THAT(ExportBf16(*checkpoint, out_),
              IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("not an empty folder")));
  EXPECT_THAT(Entries(out_), UnorderedElementsAre("mine.txt"));
}

TEST_F(ExportTest, ADamagedCheckpointLeavesNothing) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kBF16);
  const std::string file = folder_.File("packed") + "/" + BlockFileName(1);
  std::string content = *ReadFile(file, kMaxJsonFileBytes);
  content.back() = static_cast<char>(content.back() ^ 1);
  WriteText(file, content);
  EXPECT_THAT(ExportBf16(*checkpoint, out_),
              IsError(absl::StatusCode::kDataLoss, HasSubstr(BlockFileName(1))));
  EXPECT_THAT(Entries(folder_.path()), UnorderedElementsAre("model", "packed"));
}

TEST_F(ExportTest, ADiskThatFillsUpLeavesNothing) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kBF16);
  {
    const FileSizeLimit limit(1000);
    EXPECT_THAT(ExportBf16(*checkpoint, out_),
                IsError(absl::StatusCode::kResourceExhausted, HasSubstr("model.safetensors")));
  }
  EXPECT_THAT(Entries(folder_.path()), UnorderedElementsAre("model", "packed"));
}

TEST_F(ExportTest, AMissingParentIsNotFound) {
  const auto checkpoint = Pack(SmallConfigJson(), DType::kBF16);
  EXPECT_THAT(ExportBf16(*checkpoint, "/nonexistent/out"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/out")));
}

}  // namespace
}  // namespace tern
