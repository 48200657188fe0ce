#include "server/jobs/method_validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::MixedActivations;
using v1::Pt2LlmMethod;
using v1::TwlaMethod;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Change = std::function<void(TwlaMethod&)>;

v1::QuantizationSpec Spec(const Change& change) {
  v1::QuantizationSpec spec;
  change(*spec.mutable_twla());
  return spec;
}

absl::Status Validate(const Change& change) { return ValidateMethod(Spec(change)); }

TwlaMethod Resolved(const Change& change) {
  v1::QuantizationSpec spec = Spec(change);
  EXPECT_THAT(ValidateMethod(spec), IsOk());
  ResolveMethod(spec);
  return spec.twla();
}

MixedActivations& Mixed(TwlaMethod& method, const std::vector<int32_t>& candidates) {
  method.mutable_mixed_activations()->mutable_candidates()->Assign(candidates.begin(),
                                                                   candidates.end());
  return *method.mutable_mixed_activations();
}

TEST(MethodValidationTest, AMethodMustBeChosen) {
  EXPECT_THAT(std::string(ValidateMethod(v1::QuantizationSpec()).message()),
              HasSubstr("pt2llm or twla"));
}

TEST(MethodValidationTest, EveryOptionOfTwlaHasItsRange) {
  const struct {
    std::string field;  // after "quantization_job.spec.twla."
    Change change;
  } faults[] = {
      {"group_size", [](TwlaMethod& m) { m.set_group_size(15); }},
      {"group_size", [](TwlaMethod& m) { m.set_group_size(4097); }},
      {"rotation", [](TwlaMethod& m) { m.set_rotation(static_cast<TwlaMethod::Rotation>(9)); }},
      {"objective", [](TwlaMethod& m) { m.set_objective(static_cast<TwlaMethod::Objective>(9)); }},
      {"factorization",
       [](TwlaMethod& m) { m.set_factorization(static_cast<TwlaMethod::Factorization>(9)); }},
      {"rotation_steps", [](TwlaMethod& m) { m.set_rotation_steps(-1); }},
      {"rotation_steps", [](TwlaMethod& m) { m.set_rotation_steps(10001); }},
      {"rotation_rate", [](TwlaMethod& m) { m.set_rotation_rate(0); }},
      {"rotation_rate", [](TwlaMethod& m) { m.set_rotation_rate(1.5); }},
      {"rotation_rate", [](TwlaMethod& m) { m.set_rotation_rate(kNan); }},
      {"fit", [](TwlaMethod& m) { m.set_fit(static_cast<TwlaMethod::Fit>(9)); }},
      {"reorder", [](TwlaMethod& m) { m.set_reorder(static_cast<Pt2LlmMethod::Reorder>(9)); }},
      {"compensation",
       [](TwlaMethod& m) { m.set_compensation(static_cast<Pt2LlmMethod::Compensation>(9)); }},
      {"gptaq", [](TwlaMethod& m) { m.set_gptaq(1.1); }},
      {"gptaq", [](TwlaMethod& m) { m.set_gptaq(kNan); }},
      {"damping", [](TwlaMethod& m) { m.set_damping(0); }},
      {"damping", [](TwlaMethod& m) { m.set_damping(kNan); }},
      {"mixed_activations.beta", [](TwlaMethod& m) { Mixed(m, {}).set_beta(-0.1); }},
      {"mixed_activations.beta", [](TwlaMethod& m) { Mixed(m, {}).set_beta(11); }},
      {"mixed_activations.beta", [](TwlaMethod& m) { Mixed(m, {}).set_beta(kNan); }},
      {"mixed_activations.interactions",
       [](TwlaMethod& m) {
         Mixed(m, {}).set_interactions(static_cast<v1::MixedActivations::Interactions>(7));
       }},
  };
  for (const auto& [field, change] : faults) {
    const absl::Status status = Validate(change);
    EXPECT_THAT(status, IsError(absl::StatusCode::kInvalidArgument,
                                HasSubstr("quantization_job.spec.twla." + field)));
  }
}

TEST(MethodValidationTest, AnActivationWidthWithoutAKernelIsRefused) {
  for (const int32_t bits : {4, 6, 8, 16}) {
    EXPECT_THAT(Validate([&](TwlaMethod& m) { m.set_activation_bits(bits); }), IsOk());
  }
  for (const int32_t bits : {-4, 1, 2, 5, 12, 32}) {
    const absl::Status status = Validate([&](TwlaMethod& m) { m.set_activation_bits(bits); });
    EXPECT_THAT(std::string(status.message()), HasSubstr("kernels for 4, 6, 8, 16")) << bits;
  }
}

TEST(MethodValidationTest, ReorderingAndRotationExcludeEachOther) {
  for (const auto rotation : {TwlaMethod::ROTATION_UNSPECIFIED, TwlaMethod::ROTATION_KOTMS,
                              TwlaMethod::ROTATION_HADAMARD}) {
    const absl::Status status = Validate([&](TwlaMethod& m) {
      m.set_rotation(rotation);
      m.set_reorder(Pt2LlmMethod::REORDER_SSR);
    });
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("is REORDER_SSR, but reordering and rotation exclude each other: set "
                          "reorder=REORDER_NONE or rotation=ROTATION_NONE"));
  }
  EXPECT_THAT(Validate([](TwlaMethod& m) {
                m.set_rotation(TwlaMethod::ROTATION_NONE);
                m.set_reorder(Pt2LlmMethod::REORDER_SSR);
              }),
              IsOk());
  EXPECT_THAT(Validate([](TwlaMethod& m) { m.set_reorder(Pt2LlmMethod::REORDER_NONE); }), IsOk());
}

TEST(MethodValidationTest, WhatWouldHaveNoEffectIsRefused) {
  const Change hadamard = [](TwlaMethod& m) { m.set_rotation(TwlaMethod::ROTATION_HADAMARD); };
  for (const Change& change :
       std::vector<Change>{[](TwlaMethod& m) { m.set_objective(TwlaMethod::OBJECTIVE_PAPER); },
                           [](TwlaMethod& m) { m.set_rotation_steps(50); },
                           [](TwlaMethod& m) { m.set_rotation_rate(0.1); }}) {
    EXPECT_THAT(Validate(change), IsOk());
    EXPECT_THAT(Validate([&](TwlaMethod& m) {
                  hadamard(m);
                  change(m);
                }).message(),
                HasSubstr("no effect with rotation=ROTATION_HADAMARD"));
  }
  EXPECT_THAT(Validate([](TwlaMethod& m) {
                m.set_rotation(TwlaMethod::ROTATION_NONE);
                m.set_factorization(TwlaMethod::FACTORIZATION_BALANCED);
              }).message(),
              HasSubstr("twla.factorization: has no effect with rotation=ROTATION_NONE"));
}

TEST(MethodValidationTest, FixedAndMixedBitsExcludeEachOther) {
  EXPECT_THAT(Validate([](TwlaMethod& m) {
                Mixed(m, {});
                m.set_activation_bits(8);
              }).message(),
              HasSubstr("set one of the two"));
}

TEST(MethodValidationTest, CandidatesAreSomeOfFourAndTheBaseline) {
  const auto message = [](const std::vector<int32_t>& candidates) {
    return std::string(
        Validate([&](TwlaMethod& m) { Mixed(m, candidates).set_average_bits(8); }).message());
  };
  EXPECT_EQ(message({8, 2}), "");
  EXPECT_EQ(message({2, 4, 6, 8}), "");
  EXPECT_THAT(message({3, 8}), HasSubstr("has 3"));
  EXPECT_THAT(message({2, 8, 16}), HasSubstr("has 16"));
  EXPECT_THAT(message({4, 4, 8}), HasSubstr("4 twice"));
  EXPECT_THAT(message({2, 4, 6}), HasSubstr("lacks 8"));
  EXPECT_THAT(message({8}), HasSubstr("leaves no choice"));
}

TEST(MethodValidationTest, AnImpossibleBudgetIsRefused) {
  const auto message = [](const std::vector<int32_t>& candidates, double average) {
    return std::string(
        Validate([&](TwlaMethod& m) { Mixed(m, candidates).set_average_bits(average); }).message());
  };
  EXPECT_EQ(message({}, 2), "");
  EXPECT_EQ(message({}, 8), "");
  EXPECT_EQ(message({4, 8}, 4), "");
  EXPECT_EQ(message({4, 8}, 4.3), "");
  EXPECT_THAT(message({}, 1.9), HasSubstr("must be 2 to 8"));
  EXPECT_THAT(message({}, 8.1), HasSubstr("must be 2 to 8"));
  EXPECT_THAT(message({4, 8}, 3), HasSubstr("must be 4 to 8"));
  EXPECT_THAT(message({}, kNan), HasSubstr("average_bits"));
  // The default is 4.
  EXPECT_THAT(Validate([](TwlaMethod& m) {
                Mixed(m, {6, 8});
              }).message(),
              HasSubstr("is 4, the default"));
}

TEST(MethodValidationTest, TwlasDefaultsAreFilledIn) {
  const TwlaMethod method = Resolved([](TwlaMethod&) {});
  EXPECT_EQ(method.group_size(), 128);
  EXPECT_EQ(method.rotation(), TwlaMethod::ROTATION_KOTMS);
  EXPECT_EQ(method.objective(), TwlaMethod::OBJECTIVE_RELEASED);
  EXPECT_EQ(method.factorization(), TwlaMethod::FACTORIZATION_RELEASED);
  EXPECT_EQ(method.rotation_steps(), 100);
  EXPECT_EQ(method.rotation_rate(), 1e-2);
  EXPECT_EQ(method.fit(), TwlaMethod::FIT_E2M);
  EXPECT_TRUE(method.align());
  EXPECT_EQ(method.reorder(), Pt2LlmMethod::REORDER_NONE);
  EXPECT_EQ(method.compensation(), Pt2LlmMethod::COMPENSATION_EXACT);
  EXPECT_TRUE(method.has_gptaq());
  EXPECT_EQ(method.gptaq(), 0);
  EXPECT_EQ(method.damping(), 0.1);
  EXPECT_EQ(method.activation_bits(), 16);
  EXPECT_FALSE(method.has_mixed_activations());
}

TEST(MethodValidationTest, MixedDefaultsAreFilledInAndCandidatesSorted) {
  const TwlaMethod method = Resolved([](TwlaMethod& m) { Mixed(m, {}); });
  EXPECT_EQ(method.activation_bits(), 0);
  EXPECT_EQ(method.mixed_activations().average_bits(), 4);
  EXPECT_EQ(method.mixed_activations().beta(), 0.5);
  EXPECT_EQ(method.mixed_activations().interactions(), v1::MixedActivations::INTERACTIONS_NEEDED);
  EXPECT_THAT(method.mixed_activations().candidates(), ElementsAre(2, 4, 6, 8));
  const TwlaMethod other = Resolved([](TwlaMethod& m) { Mixed(m, {8, 2, 4}).set_beta(0); });
  EXPECT_THAT(other.mixed_activations().candidates(), ElementsAre(2, 4, 8));
  EXPECT_EQ(other.mixed_activations().beta(), 0);
}

TEST(MethodValidationTest, WhatWasFilledInCanBeSubmittedAgain) {
  for (const Change& change : std::vector<Change>{
           [](TwlaMethod&) {}, [](TwlaMethod& m) { m.set_rotation(TwlaMethod::ROTATION_HADAMARD); },
           [](TwlaMethod& m) {
             m.set_rotation(TwlaMethod::ROTATION_NONE);
             m.set_reorder(Pt2LlmMethod::REORDER_SSR);
           },
           [](TwlaMethod& m) { Mixed(m, {}); }}) {
    v1::QuantizationSpec spec;
    *spec.mutable_twla() = Resolved(change);
    EXPECT_THAT(ValidateMethod(spec), IsOk());
    const std::string once = spec.SerializeAsString();
    ResolveMethod(spec);
    EXPECT_EQ(spec.SerializeAsString(), once);
  }
}

}  // namespace
}  // namespace tern
