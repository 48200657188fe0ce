#include "server/jobs/spec_validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "proto/service/error_details.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

v1::QuantizationSpec Spec() {
  v1::QuantizationSpec spec;
  spec.set_model("/models/llama");
  spec.mutable_pt2llm();
  spec.mutable_calibration()->add_files("/data/text.txt");
  return spec;
}

ModelConfig Config(int64_t blocks, int64_t max_positions) {
  ModelConfig config = {};
  config.num_blocks = blocks;
  config.max_positions = max_positions;
  return config;
}

struct BadSpec {
  std::string field;  // after "quantization_job.spec."
  std::function<void(v1::QuantizationSpec&)> change;
};

TEST(SpecValidationTest, ASpecOfDefaultsIsValid) { EXPECT_THAT(ValidateSpec(Spec()), IsOk()); }

TEST(SpecValidationTest, EveryFaultNamesItsField) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr int32_t kHuge = std::numeric_limits<int32_t>::max();
  using Spec_ = v1::QuantizationSpec;
  const std::vector<BadSpec> faults = {
      {"model", [](Spec_& spec) { spec.clear_model(); }},
      {"model", [](Spec_& spec) { spec.set_model("models/llama"); }},
      {"model", [](Spec_& spec) { spec.set_model(std::string("/a\0b", 4)); }},
      {"model", [](Spec_& spec) { spec.set_model("/" + std::string(5000, 'x')); }},
      {"method", [](Spec_& spec) { spec.clear_pt2llm(); }},
      {"pt2llm.group_size", [](Spec_& spec) { spec.mutable_pt2llm()->set_group_size(-1); }},
      {"pt2llm.group_size", [](Spec_& spec) { spec.mutable_pt2llm()->set_group_size(15); }},
      {"pt2llm.group_size", [](Spec_& spec) { spec.mutable_pt2llm()->set_group_size(4097); }},
      {"pt2llm.gptaq", [](Spec_& spec) { spec.mutable_pt2llm()->set_gptaq(-0.1); }},
      {"pt2llm.gptaq", [](Spec_& spec) { spec.mutable_pt2llm()->set_gptaq(1.1); }},
      {"pt2llm.gptaq", [](Spec_& spec) { spec.mutable_pt2llm()->set_gptaq(kNan); }},
      {"pt2llm.damping", [](Spec_& spec) { spec.mutable_pt2llm()->set_damping(0); }},
      {"pt2llm.damping", [](Spec_& spec) { spec.mutable_pt2llm()->set_damping(-1); }},
      {"pt2llm.damping", [](Spec_& spec) { spec.mutable_pt2llm()->set_damping(kNan); }},
      {"pt2llm.damping", [](Spec_& spec) { spec.mutable_pt2llm()->set_damping(kInfinity); }},
      {"pt2llm.reorder",
       [](Spec_& spec) {
         spec.mutable_pt2llm()->set_reorder(static_cast<v1::Pt2LlmMethod::Reorder>(77));
       }},
      {"pt2llm.compensation",
       [](Spec_& spec) {
         spec.mutable_pt2llm()->set_compensation(static_cast<v1::Pt2LlmMethod::Compensation>(77));
       }},
      {"calibration", [](Spec_& spec) { spec.clear_calibration(); }},
      {"calibration.files", [](Spec_& spec) { spec.mutable_calibration()->clear_files(); }},
      {"calibration.files[1]", [](Spec_& spec) { spec.mutable_calibration()->add_files(""); }},
      {"calibration.files[1]",
       [](Spec_& spec) { spec.mutable_calibration()->add_files("../text.txt"); }},
      {"calibration.files",
       [](Spec_& spec) { spec.mutable_calibration()->add_files("/ids.safetensors"); }},
      {"calibration.text_field",
       [](Spec_& spec) { spec.mutable_calibration()->set_text_field(std::string(200, 'x')); }},
      {"calibration.samples", [](Spec_& spec) { spec.mutable_calibration()->set_samples(-1); }},
      {"calibration.samples", [](Spec_& spec) { spec.mutable_calibration()->set_samples(65537); }},
      {"calibration.sequence_length",
       [](Spec_& spec) { spec.mutable_calibration()->set_sequence_length(1); }},
      {"calibration.sequence_length",
       [](Spec_& spec) { spec.mutable_calibration()->set_sequence_length(-5); }},
      {"calibration.sequence_length",
       [](Spec_& spec) { spec.mutable_calibration()->set_sequence_length(kHuge); }},
      {"evaluation.files", [](Spec_& spec) { spec.mutable_evaluation(); }},
      {"evaluation.window_length",
       [](Spec_& spec) {
         spec.mutable_evaluation()->add_files("/text");
         spec.mutable_evaluation()->set_window_length(1);
       }},
      {"evaluation.windows",
       [](Spec_& spec) {
         spec.mutable_evaluation()->add_files("/text");
         spec.mutable_evaluation()->set_windows(-1);
       }},
      {"evaluation.windows",
       [](Spec_& spec) {
         spec.mutable_evaluation()->add_files("/text");
         spec.mutable_evaluation()->set_windows(kHuge);
       }},
      {"shards", [](Spec_& spec) { spec.set_shards(-1); }},
  };
  for (const BadSpec& fault : faults) {
    v1::QuantizationSpec spec = Spec();
    fault.change(spec);
    const std::string field = "quantization_job.spec." + fault.field;
    const absl::Status status = ValidateSpec(spec);
    EXPECT_THAT(status, IsError(absl::StatusCode::kInvalidArgument, StartsWith(field + ": ")))
        << spec.DebugString();
    google::rpc::BadRequest request;
    const google::rpc::Status proto = ToProto(status);
    for (const auto& detail : proto.details()) detail.UnpackTo(&request);
    ASSERT_EQ(request.field_violations_size(), 1) << field;
    EXPECT_EQ(request.field_violations(0).field(), field);
  }
}

TEST(SpecValidationTest, TheEndsOfRangesAreValid) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_pt2llm()->set_group_size(16);
  spec.mutable_pt2llm()->set_gptaq(0);
  spec.mutable_pt2llm()->set_damping(1);
  spec.mutable_calibration()->set_samples(65536);
  spec.mutable_calibration()->set_sequence_length(2);
  EXPECT_THAT(ValidateSpec(spec), IsOk());
  spec.mutable_pt2llm()->set_group_size(4096);
  spec.mutable_pt2llm()->set_gptaq(1);
  spec.mutable_pt2llm()->set_damping(1e-9);
  spec.mutable_calibration()->set_samples(1);
  EXPECT_THAT(ValidateSpec(spec), IsOk());
}

TEST(SpecValidationTest, DefaultsAreFilledIn) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_evaluation()->add_files("/data/eval.txt");
  const auto resolved = ResolveSpec(spec, Config(6, 4096));
  ASSERT_THAT(resolved, IsOk());
  const v1::Pt2LlmMethod& method = resolved->pt2llm();
  EXPECT_EQ(method.group_size(), 128);
  EXPECT_EQ(method.reorder(), v1::Pt2LlmMethod::REORDER_SSR);
  EXPECT_EQ(method.compensation(), v1::Pt2LlmMethod::COMPENSATION_EXACT);
  EXPECT_EQ(method.gptaq(), 0.25);
  EXPECT_TRUE(method.itf());
  EXPECT_TRUE(method.aga());
  EXPECT_EQ(method.damping(), 0.01);
  EXPECT_EQ(resolved->shards(), 1);
  EXPECT_EQ(resolved->calibration().text_field(), "text");
  EXPECT_EQ(resolved->calibration().samples(), 128);
  EXPECT_EQ(resolved->calibration().sequence_length(), 2048);
  EXPECT_EQ(resolved->evaluation().window_length(), 2048);
}

TEST(SpecValidationTest, WhatIsSetIsKept) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_pt2llm()->set_gptaq(0);
  spec.mutable_pt2llm()->set_itf(false);
  spec.mutable_pt2llm()->set_aga(false);
  spec.mutable_pt2llm()->set_reorder(v1::Pt2LlmMethod::REORDER_NONE);
  spec.mutable_calibration()->set_text_field("body");
  spec.set_shards(6);
  spec.set_seed(7);
  const auto resolved = ResolveSpec(spec, Config(6, 4096));
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->pt2llm().gptaq(), 0);
  EXPECT_FALSE(resolved->pt2llm().itf());
  EXPECT_FALSE(resolved->pt2llm().aga());
  EXPECT_EQ(resolved->pt2llm().reorder(), v1::Pt2LlmMethod::REORDER_NONE);
  EXPECT_EQ(resolved->calibration().text_field(), "body");
  EXPECT_EQ(resolved->shards(), 6);
  EXPECT_EQ(resolved->seed(), 7U);
}

TEST(SpecValidationTest, LengthsDefaultToAShorterModelsContext) {
  const auto resolved = ResolveSpec(Spec(), Config(6, 512));
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->calibration().sequence_length(), 512);
}

TEST(SpecValidationTest, CountsOfReadyMadeWindowsAreLeftToTheFile) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_calibration()->set_files(0, "/data/ids.safetensors");
  const auto resolved = ResolveSpec(spec, Config(6, 512));
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->calibration().samples(), 0);
  EXPECT_EQ(resolved->calibration().sequence_length(), 0);
}

TEST(SpecValidationTest, TheModelBoundsShardsAndLengths) {
  v1::QuantizationSpec spec = Spec();
  spec.set_shards(7);
  EXPECT_THAT(ResolveSpec(spec, Config(6, 512)),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("quantization_job.spec.shards: is 7; the model has 6 blocks")));
  spec = Spec();
  spec.mutable_calibration()->set_sequence_length(513);
  EXPECT_THAT(ResolveSpec(spec, Config(6, 512)),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("quantization_job.spec.calibration.sequence_length")));
  spec = Spec();
  spec.mutable_evaluation()->add_files("/text");
  spec.mutable_evaluation()->set_window_length(513);
  EXPECT_THAT(ResolveSpec(spec, Config(6, 512)),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("quantization_job.spec.evaluation.window_length")));
}

TEST(SpecValidationTest, TheWholeSpecIsBounded) {
  v1::QuantizationSpec spec = Spec();
  spec.mutable_calibration()->clear_files();
  for (int i = 0; i < 100; ++i) {
    spec.mutable_calibration()->add_files("/" + std::string(3000, 'p'));
  }
  EXPECT_THAT(ValidateSpec(spec), IsError(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("quantization_job.spec: has 30")));
}

TEST(LabelsTest, NumberAndFormAreBounded) {
  v1::QuantizationJob job;
  (*job.mutable_labels())["team/pipeline.v1_a-b"] = std::string(128, 'v');
  EXPECT_THAT(ValidateLabels(job), IsOk());
  (*job.mutable_labels())["k"] = std::string(129, 'v');
  EXPECT_THAT(ValidateLabels(job),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("quantization_job.labels")));
  for (const std::string& key : {std::string(), std::string("a b"), std::string(129, 'k')}) {
    job.clear_labels();
    (*job.mutable_labels())[key] = "v";
    EXPECT_FALSE(ValidateLabels(job).ok()) << key;
  }
  job.clear_labels();
  for (int i = 0; i < 33; ++i) (*job.mutable_labels())["k" + std::to_string(i)] = "v";
  EXPECT_THAT(ValidateLabels(job),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("32 labels")));
}

}  // namespace
}  // namespace tern
