#include "client/method_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "client/method_text.h"
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
  EXPECT_THAT(MethodNames(), ElementsAre("pt2llm", "twla"));
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
  EXPECT_EQ(SetMethod("shards", {}, &spec).message(),
            "--method: \"shards\" is not one of pt2llm, twla");
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

v1::TwlaMethod SetTwla(const std::vector<std::string>& settings) {
  v1::QuantizationSpec spec;
  const absl::Status status = SetMethod("twla", settings, &spec);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(spec.has_twla());
  return spec.twla();
}

std::string TwlaErrorOf(const std::vector<std::string>& settings) {
  v1::QuantizationSpec spec;
  return std::string(SetMethod("twla", settings, &spec).message());
}

TEST(MethodOptionsTest, EveryOptionOfTwlaCanBeSet) {
  const v1::TwlaMethod method =
      SetTwla({"group_size=64", "rotation=hadamard", "objective=paper", "factorization=balanced",
               "rotation_steps=50", "rotation_rate=0.05", "fit=itf", "align=false", "reorder=ssr",
               "compensation=released", "gptaq=0.25", "damping=0.01", "activation_bits=8"});
  EXPECT_EQ(method.group_size(), 64);
  EXPECT_EQ(method.rotation(), v1::TwlaMethod::ROTATION_HADAMARD);
  EXPECT_EQ(method.objective(), v1::TwlaMethod::OBJECTIVE_PAPER);
  EXPECT_EQ(method.factorization(), v1::TwlaMethod::FACTORIZATION_BALANCED);
  EXPECT_EQ(method.rotation_steps(), 50);
  EXPECT_EQ(method.rotation_rate(), 0.05);
  EXPECT_EQ(method.fit(), v1::TwlaMethod::FIT_ITF);
  EXPECT_FALSE(method.align());
  EXPECT_EQ(method.reorder(), Pt2LlmMethod::REORDER_SSR);
  EXPECT_EQ(method.compensation(), Pt2LlmMethod::COMPENSATION_RELEASED);
  EXPECT_EQ(method.gptaq(), 0.25);
  EXPECT_EQ(method.damping(), 0.01);
  EXPECT_EQ(method.activation_bits(), 8);
  EXPECT_FALSE(method.has_mixed_activations());
}

TEST(MethodOptionsTest, AutoActivationBitsAreMixedOnes) {
  const v1::TwlaMethod plain = SetTwla({"activation_bits=auto"});
  EXPECT_TRUE(plain.has_mixed_activations());
  EXPECT_EQ(plain.activation_bits(), 0);
  EXPECT_FALSE(plain.mixed_activations().has_average_bits());

  const v1::TwlaMethod method =
      SetTwla({"average_activation_bits=4.5", "activation_bits=auto", "activation_candidates=2,4,8",
               "beta=0", "interactions=all"});
  EXPECT_EQ(method.mixed_activations().average_bits(), 4.5);
  EXPECT_THAT(method.mixed_activations().candidates(), ElementsAre(2, 4, 8));
  EXPECT_TRUE(method.mixed_activations().has_beta());
  EXPECT_EQ(method.mixed_activations().interactions(), v1::MixedActivations::INTERACTIONS_ALL);
}

TEST(MethodOptionsTest, AJobsMethodIsShownAsItIsSet) {
  v1::QuantizationSpec spec;
  EXPECT_EQ(MethodText(spec), "");
  ASSERT_TRUE(
      SetMethod("pt2llm", {"group_size=64", "reorder=ssr", "gptaq=0", "aga=false"}, &spec).ok());
  EXPECT_EQ(MethodText(spec), "pt2llm group_size=64 reorder=ssr gptaq=0 aga=false");
  spec.Clear();
  ASSERT_TRUE(SetMethod("twla",
                        {"rotation=hadamard", "activation_bits=auto", "average_activation_bits=4.5",
                         "activation_candidates=4,8"},
                        &spec)
                  .ok());
  EXPECT_EQ(MethodText(spec),
            "twla rotation=hadamard activation_bits=auto average_activation_bits=4.5 "
            "activation_candidates=4,8");
}

TEST(MethodOptionsTest, OptionsOfAutoNeedIt) {
  EXPECT_EQ(TwlaErrorOf({"beta=0.5"}), "--set beta: needs --set activation_bits=auto");
  EXPECT_EQ(TwlaErrorOf({"activation_bits=4", "average_activation_bits=4"}),
            "--set average_activation_bits: needs --set activation_bits=auto");
}

TEST(MethodOptionsTest, AListIsOfWholeNumbers) {
  EXPECT_THAT(TwlaErrorOf({"activation_bits=auto", "activation_candidates=2,,8"}),
              HasSubstr("\"2,,8\" is not a list of whole numbers"));
  EXPECT_EQ(TwlaErrorOf({"activation_bits=four"}),
            "--set activation_bits: \"four\" is not a whole number of 32 bits");
}

TEST(MethodOptionsTest, FieldsThatAServerNamesAreKnownByTheirKeys) {
  EXPECT_EQ(MethodKeyOf("pt2llm.gptaq"), "gptaq");
  EXPECT_EQ(MethodKeyOf("twla.activation_bits"), "activation_bits");
  EXPECT_EQ(MethodKeyOf("twla.mixed_activations.average_bits"), "average_activation_bits");
  EXPECT_EQ(MethodKeyOf("twla.mixed_activations"), "");
  EXPECT_EQ(MethodKeyOf("pt2llm.rotation"), "");
  EXPECT_EQ(MethodKeyOf("shards"), "");
}

TEST(MethodOptionsTest, HelpNamesKeysAndValues) {
  const std::string help = MethodOptionsHelp();
  EXPECT_THAT(help, HasSubstr("  reorder=ssr|none|random|hessian\n"));
  EXPECT_THAT(help, HasSubstr("  activation_bits=N|auto      16, 8, 6 or 4"));
  EXPECT_THAT(help, HasSubstr("  activation_candidates=N,N,...\n"));
}

TEST(MethodOptionsTest, EveryOptionHasItsDefaultInTheHelp) {
  int keys = 0;
  int defaults = 0;
  for (const absl::string_view line : absl::StrSplit(MethodOptionsHelp(), '\n')) {
    if (absl::StrContains(line, "=") && !absl::StrContains(line, "KEY=VALUE") &&
        absl::StartsWith(line, "  ") && !absl::StartsWith(line, "   ")) {
      ++keys;
    }
    if (absl::StrContains(line, "Default: ")) ++defaults;
  }
  EXPECT_EQ(keys, 7 + 17);
  EXPECT_EQ(defaults, keys);
}

}  // namespace
}  // namespace tern
