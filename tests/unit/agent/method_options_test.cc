#include "worker/agent/method_options.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace tern {
namespace {

using tern::v1::Pt2LlmMethod;
using tern::v1::QuantizationSpec;
using tern::v1::TwlaMethod;

TEST(MethodOptionsTest, WhatIsUnsetHasItsDefault) {
  QuantizationSpec spec;
  spec.mutable_pt2llm();
  const auto options = MethodOptions(spec);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->group_size, 128);
  EXPECT_EQ(options->reorder, Reorder::kSsr);
  EXPECT_EQ(options->compensation, Compensation::kExact);
  EXPECT_EQ(options->gptaq, 0.25);
  EXPECT_TRUE(options->fit == GridFit::kItf);
  EXPECT_TRUE(options->align);
  EXPECT_EQ(options->damping, 0.01);
}

TEST(MethodOptionsTest, EveryOptionIsCarriedOver) {
  QuantizationSpec spec;
  spec.set_seed(7);
  Pt2LlmMethod& method = *spec.mutable_pt2llm();
  method.set_group_size(64);
  method.set_reorder(Pt2LlmMethod::REORDER_RANDOM);
  method.set_compensation(Pt2LlmMethod::COMPENSATION_RELEASED);
  method.set_gptaq(0);
  method.set_itf(false);
  method.set_aga(false);
  method.set_damping(0.1);
  const auto options = MethodOptions(spec);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->seed, 7U);
  EXPECT_EQ(options->group_size, 64);
  EXPECT_EQ(options->reorder, Reorder::kRandom);
  EXPECT_EQ(options->compensation, Compensation::kReleased);
  EXPECT_EQ(options->gptaq, 0);
  EXPECT_FALSE(options->fit == GridFit::kItf);
  EXPECT_FALSE(options->align);
  EXPECT_EQ(options->damping, 0.1);
}

TEST(MethodOptionsTest, AnOptionOutOfRangeIsRefused) {
  QuantizationSpec spec;
  spec.mutable_pt2llm()->set_damping(-1);
  EXPECT_EQ(MethodOptions(spec).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MethodOptionsTest, AMethodOfALaterServerIsUnimplemented) {
  EXPECT_EQ(MethodOptions(QuantizationSpec()).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(MethodOptionsTest, ColumnsArePermutedUnlessReorderingIsOff) {
  for (const auto& [reorder, permuted] : {std::pair{Pt2LlmMethod::REORDER_SSR, true},
                                          {Pt2LlmMethod::REORDER_HESSIAN, true},
                                          {Pt2LlmMethod::REORDER_NONE, false}}) {
    QuantizationSpec spec;
    spec.mutable_pt2llm()->set_reorder(reorder);
    EXPECT_EQ(FormatOf(spec)->permuted, permuted);
  }
}

TEST(MethodOptionsTest, TwlaIsItsOwnRecipe) {
  QuantizationSpec spec;
  spec.mutable_twla();
  const auto recipe = MethodOptions(spec);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->rotation, RotationFormat());
  EXPECT_EQ(recipe->kotms.steps, 100);
  EXPECT_EQ(recipe->kotms.rate, 0.01);
  EXPECT_EQ(recipe->reorder, Reorder::kNone);
  EXPECT_EQ(recipe->fit, GridFit::kE2m);
  EXPECT_TRUE(recipe->align);
  EXPECT_EQ(recipe->gptaq, 0);
  EXPECT_EQ(recipe->damping, 0.1);
  EXPECT_TRUE(recipe->activation_bits.empty());
  const auto format = FormatOf(spec);
  EXPECT_EQ(format->method, "twla");
  EXPECT_EQ(format->rotation, RotationFormat());
  EXPECT_FALSE(format->permuted);
}

TEST(MethodOptionsTest, TwlaMayBorrowFromPt2Llm) {
  QuantizationSpec spec;
  spec.set_seed(3);
  TwlaMethod& method = *spec.mutable_twla();
  method.set_rotation(TwlaMethod::ROTATION_HADAMARD);
  method.set_factorization(TwlaMethod::FACTORIZATION_BALANCED);
  method.set_fit(TwlaMethod::FIT_ITF);
  method.set_gptaq(0.25);
  method.set_damping(0.01);
  method.set_activation_bits(4);
  const auto recipe = MethodOptions(spec);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->rotation,
            (RotationFormat{RotationKind::kHadamard, RotationFactorization::kBalanced}));
  EXPECT_EQ(recipe->fit, GridFit::kItf);
  EXPECT_EQ(recipe->gptaq, 0.25);
  EXPECT_EQ(recipe->damping, 0.01);
  EXPECT_EQ(recipe->seed, 3U);
  EXPECT_EQ(recipe->activation_bits, std::vector<int>{4});
}

TEST(MethodOptionsTest, MixedActivationsAreFittedForEveryCandidate) {
  QuantizationSpec spec;
  spec.mutable_twla()->mutable_mixed_activations()->add_candidates(4);
  spec.mutable_twla()->mutable_mixed_activations()->add_candidates(8);
  EXPECT_EQ(MethodOptions(spec)->activation_bits, (std::vector<int>{4, 8}));
}

TEST(MethodOptionsTest, ARotationAndAnOrderExcludeEachOther) {
  QuantizationSpec spec;
  spec.mutable_twla()->set_reorder(Pt2LlmMethod::REORDER_SSR);
  EXPECT_EQ(MethodOptions(spec).status().code(), absl::StatusCode::kInvalidArgument);
  spec.mutable_twla()->set_rotation(TwlaMethod::ROTATION_NONE);
  EXPECT_TRUE(MethodOptions(spec).ok());
}

}  // namespace
}  // namespace tern
