#include "worker/agent/method_options.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

using tern::v1::Pt2LlmMethod;
using tern::v1::QuantizationSpec;

TEST(MethodOptionsTest, WhatIsUnsetHasItsDefault) {
  QuantizationSpec spec;
  spec.mutable_pt2llm();
  const auto options = MethodOptions(spec);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->group_size, 128);
  EXPECT_EQ(options->reorder, Reorder::kSsr);
  EXPECT_EQ(options->compensation, Compensation::kExact);
  EXPECT_EQ(options->gptaq, 0.25);
  EXPECT_TRUE(options->itf);
  EXPECT_TRUE(options->aga);
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
  EXPECT_FALSE(options->itf);
  EXPECT_FALSE(options->aga);
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
  EXPECT_TRUE(FormatOf({.reorder = Reorder::kSsr}).permuted);
  EXPECT_TRUE(FormatOf({.reorder = Reorder::kHessian}).permuted);
  EXPECT_FALSE(FormatOf({.reorder = Reorder::kNone}).permuted);
}

}  // namespace
}  // namespace tern
