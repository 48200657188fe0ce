#include "client/method_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tern/v1/quantization_job.pb.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using v1::Pt2LlmMethod;

v1::Pt2LlmMethod Set(const std::vector<std::string>& settings) {
  v1::QuantizationSpec spec;
  EXPECT_TRUE(SetMethod("pt2llm", settings, &spec).ok());
  EXPECT_TRUE(spec.has_pt2llm());
  return spec.pt2llm();
}

std::string ErrorOf(const std::vector<std::string>& settings) {
  v1::QuantizationSpec spec;
  const absl::Status status = SetMethod("pt2llm", settings, &spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(MethodOptionsTest, MethodsAreThoseOfTheApi) {
  EXPECT_THAT(MethodNames(), ElementsAre("pt2llm"));
}

TEST(MethodOptionsTest, MethodAloneLeavesEveryOptionToTheServer) {
  const Pt2LlmMethod method = Set({});
  EXPECT_FALSE(method.has_gptaq());
  EXPECT_EQ(method.group_size(), 0);
}

TEST(MethodOptionsTest, EveryOptionOfPt2LlmCanBeSet) {
  const Pt2LlmMethod method = Set({"compensation=released", "gptaq=0.5", "reorder=hessian",
                                   "itf=false", "aga=true", "group_size=64", "damping=0.02"});
  EXPECT_EQ(method.compensation(), Pt2LlmMethod::COMPENSATION_RELEASED);
  EXPECT_EQ(method.gptaq(), 0.5);
  EXPECT_EQ(method.reorder(), Pt2LlmMethod::REORDER_HESSIAN);
  EXPECT_TRUE(method.has_itf());
  EXPECT_FALSE(method.itf());
  EXPECT_TRUE(method.aga());
  EXPECT_EQ(method.group_size(), 64);
  EXPECT_EQ(method.damping(), 0.02);
}

TEST(MethodOptionsTest, ZeroIsNotTheSameAsUnset) { EXPECT_TRUE(Set({"gptaq=0"}).has_gptaq()); }

TEST(MethodOptionsTest, EnumsTakeEachOfTheirNames) {
  EXPECT_EQ(Set({"compensation=exact"}).compensation(), Pt2LlmMethod::COMPENSATION_EXACT);
  EXPECT_EQ(Set({"reorder=ssr"}).reorder(), Pt2LlmMethod::REORDER_SSR);
  EXPECT_EQ(Set({"reorder=none"}).reorder(), Pt2LlmMethod::REORDER_NONE);
  EXPECT_EQ(Set({"reorder=random"}).reorder(), Pt2LlmMethod::REORDER_RANDOM);
}

TEST(MethodOptionsTest, UnknownMethodListsThoseThereAre) {
  v1::QuantizationSpec spec;
  EXPECT_EQ(SetMethod("shards", {}, &spec).message(), "--method: \"shards\" is not one of pt2llm");
}

TEST(MethodOptionsTest, UnknownKeyListsTheKeysAndANearOne) {
  EXPECT_EQ(ErrorOf({"groupsize=64"}),
            "--set groupsize: pt2llm has no such option; it takes group_size, reorder, "
            "compensation, gptaq, itf, aga, damping (did you mean group_size?)");
}

TEST(MethodOptionsTest, UnknownEnumValueListsTheValues) {
  EXPECT_EQ(ErrorOf({"reorder=unspecified"}),
            "--set reorder: \"unspecified\" is not one of ssr, none, random, hessian");
}

TEST(MethodOptionsTest, ValuesOfTheWrongFormNameTheirKey) {
  EXPECT_EQ(ErrorOf({"itf=1"}), "--set itf: \"1\" is not true or false");
  EXPECT_EQ(ErrorOf({"gptaq=much"}), "--set gptaq: \"much\" is not a number");
  EXPECT_EQ(ErrorOf({"gptaq=inf"}), "--set gptaq: \"inf\" is not a number");
  EXPECT_EQ(ErrorOf({"group_size=12.5"}),
            "--set group_size: \"12.5\" is not a whole number of 32 bits");
}

TEST(MethodOptionsTest, SettingWithoutValueIsRefused) {
  EXPECT_THAT(ErrorOf({"itf"}), HasSubstr("expected KEY=VALUE"));
}

TEST(MethodOptionsTest, SettingTheSameKeyTwiceIsRefused) {
  EXPECT_EQ(ErrorOf({"itf=true", "itf=false"}), "--set itf is given twice");
}

TEST(MethodOptionsTest, HelpNamesKeysAndValues) {
  EXPECT_THAT(MethodOptionsHelp(), HasSubstr("  reorder=ssr|none|random|hessian\n"));
}

}  // namespace
}  // namespace tern
