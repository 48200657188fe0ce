#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/strict_json.h"
#include "tests/integration/client/run_tern.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class CheckpointCommandsTest : public ::testing::Test {
 protected:
  void Pack(const PackedFormat& format) {
    WriteModel(folder_.File("model"), SmallConfigJson(), DType::kBF16);
    WritePacked(**ModelFolder::Open(folder_.File("model")), format, packed_);
  }

  // Rotated by kotms, activations of 2 and 4 bits.
  static PackedFormat LowBitFormat() {
    PackedFormat format = {"twla", 5, false};
    format.rotation = {RotationKind::kKotms, RotationFactorization::kBalanced};
    format.activations = SomeActivations(2);
    return format;
  }

  TempDir folder_;
  const std::string packed_ = folder_.File("packed");
};

TEST_F(CheckpointCommandsTest, InspectShowsRotationAndActivations) {
  Pack(LowBitFormat());
  const Outcome text = RunTern({"inspect", packed_});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("rotation kotms, balanced factors\n"));
  EXPECT_THAT(text.out, HasSubstr("activations 2 to 4 bits, 3 on average; clip ratios 0.90 to "
                                  "1.00\n"));
  EXPECT_THAT(text.out, HasSubstr(" of them for the factors of rotations ("));

  const json shown = json::parse(RunTern({"inspect", packed_, "--output", "json"}).out);
  EXPECT_EQ(shown["rotation"], json::parse(R"({"kind": "kotms", "factorization": "balanced"})"));
  EXPECT_EQ(shown["activations"]["bits"], json::parse(R"({"min": 2, "average": 3.0, "max": 4})"));
  EXPECT_EQ(shown["activations"]["blocks"], json({2, 4}));
  EXPECT_EQ(shown["activations"]["clip"]["max"], 1.0);
  EXPECT_GT(shown["bits_per_weight"]["rotation"], 0);
}

TEST_F(CheckpointCommandsTest, InspectOfAPlainCheckpointHasNothingToSayOfThem) {
  Pack({"pt2llm", 5, true});
  EXPECT_THAT(RunTern({"inspect", packed_}).out, Not(HasSubstr("otation")));
  const json shown = json::parse(RunTern({"inspect", packed_, "--output", "json"}).out);
  EXPECT_TRUE(shown["rotation"].is_null());
  EXPECT_TRUE(shown["activations"].is_null());
  EXPECT_EQ(shown["bits_per_weight"]["rotation"], 0);
}

TEST_F(CheckpointCommandsTest, VerifyShowsRotationAndActivations) {
  Pack(LowBitFormat());
  const Outcome text = RunTern({"verify", packed_});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("rotation kotms, balanced factors\nactivations 2 to 4 bits"));
  const json shown = json::parse(RunTern({"verify", packed_, "--output", "json"}).out);
  EXPECT_EQ(shown["rotation"]["kind"], "kotms");
  EXPECT_EQ(shown["activations"]["bits"]["average"], 3.0);
}

TEST_F(CheckpointCommandsTest, DamageIsDataLossWhicheverFileItIsIn) {
  Pack({"pt2llm", 5, true});
  for (const auto& entry : std::filesystem::directory_iterator(packed_)) {
    const std::string name = entry.path().filename().string();
    const std::string whole = *ReadFile(entry.path().string(), kMaxJsonFileBytes);
    WriteText(entry.path().string(), whole.substr(0, whole.size() / 2));
    EXPECT_EQ(RunTern({"verify", packed_}).code, 1) << name;
    const Outcome as_json = RunTern({"verify", packed_, "--output", "json"});
    EXPECT_EQ(as_json.code, 1) << name;
    EXPECT_EQ(as_json.out, "") << name;
    const json error = json::parse(as_json.err);
    EXPECT_EQ(error["exit_code"], 1) << name;
    EXPECT_EQ(error["error"]["code"], "DATA_LOSS") << name;
    EXPECT_THAT(error["error"]["message"].get<std::string>(), HasSubstr(name));
    WriteText(entry.path().string(), whole);
  }
  EXPECT_EQ(RunTern({"verify", packed_}).code, 0);
}

TEST_F(CheckpointCommandsTest, VerifyNamesEveryDamagedFile) {
  Pack({"pt2llm", 5, true});
  std::filesystem::resize_file(packed_ + "/" + BlockFileName(0), 100);
  std::filesystem::remove(packed_ + "/" + kUnquantizedFile);
  const Outcome text = RunTern({"verify", packed_});
  EXPECT_EQ(text.code, 1);
  EXPECT_EQ(text.out, "");
  EXPECT_THAT(text.err, HasSubstr("tern: " + packed_ + ": 2 files are damaged\n"));
  EXPECT_THAT(text.err, HasSubstr("  " + BlockFileName(0) + ": 100 bytes, but the manifest says"));
  EXPECT_THAT(text.err, HasSubstr(absl::StrCat("  ", kUnquantizedFile, ": listed in the manif")));
  const json error = json::parse(RunTern({"verify", packed_, "--output", "json"}).err)["error"];
  EXPECT_EQ(error["code"], "DATA_LOSS");
  ASSERT_EQ(error["fields"].size(), 2U);
  EXPECT_EQ(error["fields"][0]["field"], BlockFileName(0));
}

TEST_F(CheckpointCommandsTest, ExportSaysThatLowBitActivationsStayBehind) {
  Pack(LowBitFormat());
  const Outcome text = RunTern({"export", packed_, "--to", "bf16", "--out", folder_.File("text")});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out, folder_.File("text") + "\n");
  EXPECT_THAT(text.err, HasSubstr("runs with 16-bit activations"));
  const Outcome as_json = RunTern(
      {"export", packed_, "--to", "bf16", "--out", folder_.File("json"), "--output", "json"});
  EXPECT_THAT(json::parse(as_json.out)["note"].get<std::string>(),
              HasSubstr("runs with 16-bit activations"));
}

TEST_F(CheckpointCommandsTest, ExportOfARotatedCheckpointLosesNothing) {
  PackedFormat format = LowBitFormat();
  format.activations.clear();
  Pack(format);
  const Outcome text = RunTern({"export", packed_, "--to", "bf16", "--out", folder_.File("out")});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.err, "");
}

}  // namespace
}  // namespace tern
