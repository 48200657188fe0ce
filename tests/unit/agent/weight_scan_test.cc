#include "worker/agent/weight_scan.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/checkpoint/test_model.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class WeightScanTest : public testing::Test {
 protected:
  WeightScanTest() : weights_(RandomWeights(*ParseModelConfig(SmallConfigJson()))) {}

  void SetValue(const std::string& tensor, size_t index, uint16_t bf16) {
    std::memcpy(weights_.at(tensor).bytes.data() + 2 * index, &bf16, 2);
  }

  absl::StatusOr<std::string> Scan(int threads, bool cancelled = false) {
    WriteText(dir_.File("config.json"), config_);
    WriteTensors(dir_.File("model.safetensors"), weights_);
    const auto model = ModelFolder::Open(dir_.path());
    if (!model.ok()) return model.status();
    return ScanWeights(
        **model, threads, [](double) {}, [cancelled] { return cancelled; });
  }

  TempDir dir_;
  std::string config_ = SmallConfigJson();
  OwnedTensors weights_;
};

TEST_F(WeightScanTest, TheDigestDoesNotDependOnThreads) {
  const auto one = Scan(1);
  ASSERT_THAT(one, IsOk());
  EXPECT_EQ(one->size(), 64U);
  EXPECT_EQ(*Scan(2), *one);
  EXPECT_EQ(*Scan(7), *one);
}

TEST_F(WeightScanTest, EveryBitOfAWeightIsInTheDigest) {
  const std::string before = *Scan(1);
  weights_.at("model.norm.weight").bytes[3] ^= 1;
  EXPECT_NE(*Scan(1), before);
}

TEST_F(WeightScanTest, WhatTheWeightsAreComputedWithIsInTheDigest) {
  const std::string before = *Scan(1);
  config_ = SmallConfigJson(R"({"rope_theta": 20000.0})");
  EXPECT_NE(*Scan(1), before);
}

TEST_F(WeightScanTest, TheDigestDoesNotDependOnHowTensorsAreSpreadOverFiles) {
  const std::string before = *Scan(1);
  OwnedTensors first, second;
  std::string map;
  for (const auto& [name, tensor] : weights_) {
    const bool to_first = first.size() <= second.size();
    (to_first ? first : second).emplace(name, tensor);
    map +=
        (map.empty() ? "\"" : ",\"") + name + "\":\"" + (to_first ? "a" : "b") + ".safetensors\"";
  }
  TempDir sharded;
  WriteText(sharded.File("config.json"), SmallConfigJson());
  WriteTensors(sharded.File("a.safetensors"), first);
  WriteTensors(sharded.File("b.safetensors"), second);
  WriteText(sharded.File("model.safetensors.index.json"), "{\"weight_map\":{" + map + "}}");
  const auto model = ModelFolder::Open(sharded.path());
  ASSERT_THAT(model, IsOk());
  EXPECT_EQ(*ScanWeights(
                **model, 2, [](double) {}, [] { return false; }),
            before);
}

TEST_F(WeightScanTest, ANanIsNamedWithItsTensorAndIndex) {
  SetValue("model.layers.1.mlp.up_proj.weight", 5, 0x7fc0);
  EXPECT_THAT(Scan(2), IsError(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("model.layers.1.mlp.up_proj.weight"),
                                     HasSubstr("nan at index 5"))));
}

TEST_F(WeightScanTest, OfSeveralBadTensorsTheFirstByNameIsNamedWhateverTheThreads) {
  SetValue("model.norm.weight", 0, 0x7f80);
  SetValue("model.embed_tokens.weight", 9, 0xff80);
  for (const int threads : {1, 2, 5}) {
    EXPECT_THAT(Scan(threads), IsError(absl::StatusCode::kInvalidArgument,
                                       AllOf(HasSubstr("model.embed_tokens.weight"),
                                             HasSubstr("-inf at index 9"))));
  }
}

TEST_F(WeightScanTest, CanBeStopped) {
  EXPECT_THAT(Scan(2, /*cancelled=*/true), IsError(absl::StatusCode::kCancelled, testing::_));
}

}  // namespace
}  // namespace tern
