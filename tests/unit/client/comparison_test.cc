#include "client/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using v1::QuantizationJob;

ComparedSpec Parse(const std::string& text) {
  const auto spec = ParseComparedSpec(text);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(ComparedSpec());
}

std::string ErrorOf(const std::string& text) {
  return std::string(ParseComparedSpec(text).status().message());
}

ComparedJob Succeeded(const std::string& name, double perplexity) {
  ComparedJob compared{{.name = name, .method = "twla", .settings = {"rotation=none"}}, {}};
  QuantizationJob& job = compared.job;
  job.set_name("namespaces/default/quantizationJobs/" + name);
  job.set_state(QuantizationJob::SUCCEEDED);
  v1::JobReport& report = *job.mutable_report();
  report.mutable_perplexity()->set_full_precision(34.22);
  report.mutable_perplexity()->set_quantized(perplexity);
  report.set_kl_divergence(0.4);
  report.mutable_bits_per_weight()->set_quantized_layers(1.9125);
  report.mutable_bits_per_weight()->set_model(5.5);
  report.mutable_model()->set_parameters(100);
  report.mutable_model()->set_weight_bytes(200);
  (*report.mutable_seconds())["total"] = 1000;
  (*report.mutable_seconds())["fit"] = 20;
  (*report.mutable_seconds())["evaluate"] = 22.5;
  report.set_digest("d");
  return compared;
}

ComparedJob Failed(const std::string& name) {
  ComparedJob compared{{.name = name, .method = "pt2llm", .settings = {}}, {}};
  compared.job.set_name("namespaces/default/quantizationJobs/f");
  compared.job.set_state(QuantizationJob::FAILED);
  compared.job.mutable_error()->set_message("task rotate/3 failed: a|b\nc");
  return compared;
}

TEST(ComparedSpecTest, HasANameAMethodAndSettings) {
  const ComparedSpec spec = Parse(" W1.58 A4 :  method=twla rotation=hadamard  activation_bits=4 ");
  EXPECT_EQ(spec.name, "W1.58 A4");
  EXPECT_EQ(spec.method, "twla");
  EXPECT_THAT(spec.settings, ElementsAre("rotation=hadamard", "activation_bits=4"));
}

TEST(ComparedSpecTest, WithoutANameItIsItsOwn) {
  EXPECT_EQ(Parse("gptaq=0 method=pt2llm").name, "pt2llm gptaq=0");
  const ComparedSpec bare = Parse("method=pt2llm");
  EXPECT_EQ(bare.name, "pt2llm");
  EXPECT_THAT(bare.settings, IsEmpty());
}

TEST(ComparedSpecTest, WhatIsWrongIsSaid) {
  EXPECT_THAT(ErrorOf("a: rotation=none"), HasSubstr("method is missing"));
  EXPECT_THAT(ErrorOf(": method=twla"), HasSubstr("the name is empty"));
  EXPECT_THAT(ErrorOf("a: twla"), HasSubstr("twla has no value"));
  EXPECT_THAT(ErrorOf("a: method=twla method=pt2llm"), HasSubstr("method is given twice"));
}

TEST(ComparisonTest, MarkdownHasFullPrecisionFirst) {
  ComparedJob low = Succeeded("A4", 60.5);
  low.job.mutable_report()->mutable_activation_bits()->set_average_bits(4);
  EXPECT_EQ(ComparisonMarkdown({Failed("bad"), Succeeded("A16", 50.381), low}),
            "| method | perplexity | KL divergence | bits per weight | whole model | activation "
            "bits | worker seconds |\n"
            "|---|---:|---:|---:|---:|---:|---:|\n"
            "| full precision | 34.220 | 0.0000 | 16.000 | 16.000 | 16.00 |  |\n"
            "| bad | failed: task rotate/3 failed: a\\|b?c |  |  |  |  |  |\n"
            "| A16 | 50.381 | 0.4000 | 1.913 | 5.500 | 16.00 | 42.5 |\n"
            "| A4 | 60.500 | 0.4000 | 1.913 | 5.500 | 4.00 | 42.5 |\n");
}

TEST(ComparisonTest, JsonHasTheSameAndWhereItComesFrom) {
  const auto json = ComparisonJson("c1", {Succeeded("A16", 50.5), Failed("bad")});
  EXPECT_EQ(json["comparison"], "c1");
  ASSERT_EQ(json["rows"].size(), 3U);
  EXPECT_EQ(json["rows"][0]["name"], "full precision");
  EXPECT_EQ(json["rows"][0]["perplexity"], 34.22);
  EXPECT_FALSE(json["rows"][0].contains("job"));
  const auto& row = json["rows"][1];
  EXPECT_EQ(row["job"], "namespaces/default/quantizationJobs/A16");
  EXPECT_EQ(row["state"], "SUCCEEDED");
  EXPECT_EQ(row["method"], "twla");
  EXPECT_EQ(row["settings"], nlohmann::json::array({"rotation=none"}));
  EXPECT_EQ(row["bits_per_weight"], 1.9125);
  EXPECT_EQ(row["seconds"], 42.5);
  EXPECT_EQ(row["digest"], "d");
  EXPECT_EQ(json["rows"][2]["error"], "task rotate/3 failed: a|b\nc");
  EXPECT_FALSE(json["rows"][2].contains("perplexity"));
}

TEST(ComparisonTest, WithoutASuccessNothingIsKnownOfFullPrecision) {
  EXPECT_THAT(ComparisonMarkdown({Failed("bad")}),
              HasSubstr("| full precision |  |  |  |  |  |  |\n"));
}

}  // namespace
}  // namespace tern
