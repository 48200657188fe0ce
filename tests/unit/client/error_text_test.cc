#include "client/error_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "google/rpc/error_details.pb.h"
#include "proto/service/error_details.h"

namespace tern {
namespace {

TEST(ErrorTextTest, PlainErrorIsOneLine) {
  EXPECT_EQ(ErrorText(absl::NotFoundError("no such job")), "tern: no such job\n");
}

TEST(ErrorTextTest, ErrorWithoutMessageShowsItsCode) {
  EXPECT_EQ(ErrorText(absl::InternalError("")), "tern: INTERNAL\n");
}

TEST(ErrorTextTest, FieldAtFaultIsCalledByItsFlag) {
  const absl::Status status =
      InvalidField("quantization_job.spec.calibration.samples", "at most 65536");
  EXPECT_EQ(ErrorText(status), "tern: --samples: at most 65536\n");
}

TEST(ErrorTextTest, ElementOfARepeatedFieldHasTheFlagOfTheField) {
  EXPECT_EQ(ErrorText(InvalidField("quantization_job.spec.calibration.files[1]", "is empty")),
            "tern: --calibration: is empty\n");
}

TEST(ErrorTextTest, OptionOfAMethodHasTheFlagSet) {
  EXPECT_EQ(ErrorText(InvalidField("quantization_job.spec.pt2llm.group_size", "too small")),
            "tern: --set group_size: too small\n");
}

TEST(ErrorTextTest, ValuesOfAMethodsOptionAreThoseOfTheFlagSet) {
  const std::string field = "quantization_job.spec.twla.reorder";
  const std::string description = "is REORDER_SSR; set rotation=ROTATION_NONE or MY_ROTATION_NONE";
  EXPECT_EQ(ErrorText(InvalidField(field, description)),
            "tern: --set reorder: is ssr; set rotation=none or MY_ROTATION_NONE\n");
  const auto json = nlohmann::json::parse(ErrorJson(InvalidField(field, description), kExitUsage));
  EXPECT_EQ(json["error"]["message"], field + ": " + description);
  EXPECT_EQ(ErrorText(InvalidField("quantization_job.spec.twla.activation_bits",
                                   "is 8, but mixed_activations chooses them")),
            "tern: --set activation_bits: is 8, but activation_bits=auto chooses them\n");
}

TEST(ErrorTextTest, WordsOfOtherFieldsStayAsTheyAre) {
  EXPECT_EQ(ErrorText(InvalidField("quantization_job.spec.model", "/m/REORDER_SSR is missing")),
            "tern: MODEL: /m/REORDER_SSR is missing\n");
}

TEST(ErrorTextTest, FieldWithoutFlagKeepsItsName) {
  EXPECT_EQ(ErrorText(InvalidField("page_token", "not one of ours")),
            "tern: page_token: not one of ours\n");
}

TEST(ErrorTextTest, FieldTheMessageDoesNotNameGetsALine) {
  google::rpc::BadRequest bad_request;
  bad_request.add_field_violations()->set_field("quantization_job.spec.shards");
  bad_request.mutable_field_violations(0)->set_description("at most 6");
  google::rpc::Status proto;
  proto.set_code(3);
  proto.set_message("refused");
  proto.add_details()->PackFrom(bad_request);
  EXPECT_EQ(ErrorText(FromProto(proto)), "tern: refused\n  --shards: at most 6\n");
}

TEST(ErrorTextTest, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(ErrorText(absl::DataLossError("tensor \x1b[2Jx: bad")), "tern: tensor ?[2Jx: bad\n");
}

TEST(ErrorTextTest, JsonHasCodeReasonFieldsAndExitCode) {
  const auto json =
      nlohmann::json::parse(ErrorJson(InvalidField("a.b", "too big", "TOO_BIG"), kExitUsage));
  EXPECT_EQ(json["error"]["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(json["error"]["reason"], "TOO_BIG");
  EXPECT_EQ(json["error"]["message"], "a.b: too big");
  EXPECT_EQ(json["error"]["fields"][0]["field"], "a.b");
  EXPECT_EQ(json["error"]["fields"][0]["description"], "too big");
  EXPECT_EQ(json["exit_code"], 2);
}

TEST(ErrorTextTest, MetadataComesFromErrorInfo) {
  const absl::Status status =
      WithReason(absl::OutOfRangeError("dropped"), "EVENTS_DROPPED", {{"oldest_sequence", "7"}});
  EXPECT_EQ(ErrorMetadata(status)["oldest_sequence"], "7");
  EXPECT_TRUE(ErrorMetadata(absl::NotFoundError("x")).count("oldest_sequence") == 0);
}

TEST(ErrorTextTest, WindowsAtFaultAreCalledByTheFlagOfTheirText) {
  EXPECT_EQ(ErrorText(InvalidField("quantization_job.spec.calibration", "too little text")),
            "tern: --calibration: too little text\n");
  EXPECT_EQ(ErrorText(InvalidField("quantization_job.spec.evaluation", "too little text")),
            "tern: --eval: too little text\n");
}

}  // namespace
}  // namespace tern
