#include "client/report_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace tern {
namespace {

v1::QuantizationJob FinishedJob() {
  v1::QuantizationJob job;
  job.set_name("namespaces/default/quantizationJobs/demo");
  job.set_state(v1::QuantizationJob::SUCCEEDED);
  job.mutable_create_time()->set_seconds(1'769'860'800);
  v1::JobReport& report = *job.mutable_report();
  report.mutable_perplexity()->set_full_precision(27.019);
  report.mutable_perplexity()->set_quantized(146.66);
  report.mutable_perplexity()->set_tokens(61320);
  report.set_kl_divergence(1.6543);
  report.mutable_bits_per_weight()->set_quantized_layers(1.8514);
  report.mutable_bits_per_weight()->set_model(6.02);
  (*report.mutable_seconds())["total"] = 62.4;
  (*report.mutable_seconds())["fit"] = 31.25;
  (*report.mutable_seconds())["forward"] = 40.5;
  report.set_digest("abc123");
  v1::BlockMetrics& block = *report.add_blocks();
  block.set_block(0);
  block.set_reconstruction_error(0.0512);
  block.set_bits_per_weight(1.8514);
  block.set_tokens_per_second(5120);
  block.set_worker("worker-a");
  v1::LayerMetrics& layer = *block.add_layers();
  layer.set_layer("model.layers.0.mlp.down_proj");
  layer.set_damping(0.1);
  layer.set_compensation_fallback(true);
  v1::JobReport::Unquantized& unquantized = *report.add_unquantized();
  unquantized.set_tensor("model.embed_tokens.weight");
  unquantized.set_bytes(786432);
  return job;
}

TEST(ReportTextTest, ShowsQualityBitsTimeAndBlocks) {
  EXPECT_EQ(ReportText(FinishedJob()),
            "namespaces/default/quantizationJobs/demo SUCCEEDED\n"
            "\n"
            "Perplexity          27.019 full precision, 146.660 quantized (61320 tokens)\n"
            "KL divergence       1.6543 nats per token\n"
            "Bits per weight     1.851 quantized layers, 6.020 whole model\n"
            "Not quantized       1 tensors, 786.4 kB\n"
            "Digest              abc123\n"
            "\n"
            "Time from submission to the end, and of stages, summed over tasks and workers\n"
            "Total               1m02s\n"
            "  forward              40.50 s\n"
            "  fit                  31.25 s\n"
            "\n"
            "Blocks\n"
            "block  shard  layer error   bits  damping  tokens/s  worker\n"
            "    0      0       0.0512  1.851      0.1      5120  worker-a\n"
            "model.layers.0.mlp.down_proj: quantized without compensation, its Hessian has no "
            "factor\n");
}

TEST(ReportTextTest, JobWithoutEvaluationHasNoPerplexity) {
  v1::QuantizationJob job = FinishedJob();
  job.mutable_report()->clear_perplexity();
  job.mutable_report()->clear_kl_divergence();
  EXPECT_EQ(ReportText(job).find("Perplexity"), std::string::npos);
  EXPECT_EQ(ReportText(job).find("KL"), std::string::npos);
}

TEST(OutcomeJsonTest, IsTheReportAfterNameAndState) {
  const auto json = OutcomeJson(FinishedJob());
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->begin().key(), "name");
  EXPECT_EQ((*json)["state"], "SUCCEEDED");
  EXPECT_EQ((*json)["perplexity"]["quantized"], 146.66);
  EXPECT_EQ((*json)["perplexity"]["full_precision"], 27.019);
  EXPECT_EQ((*json)["kl_divergence"], 1.6543);
  EXPECT_EQ((*json)["bits_per_weight"]["quantized_layers"], 1.8514);
  EXPECT_EQ((*json)["seconds"]["total"], 62.4);
  EXPECT_EQ((*json)["digest"], "abc123");
}

TEST(OutcomeJsonTest, FailedJobHasItsError) {
  v1::QuantizationJob job;
  job.set_name("namespaces/default/quantizationJobs/demo");
  job.set_state(v1::QuantizationJob::FAILED);
  job.mutable_error()->set_code(15);
  job.mutable_error()->set_message("model.safetensors: truncated");
  const auto json = OutcomeJson(job);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["state"], "FAILED");
  EXPECT_EQ((*json)["error"]["code"], "DATA_LOSS");
  EXPECT_EQ((*json)["error"]["message"], "model.safetensors: truncated");
}

TEST(ReportTextTest, TellsOfRotationsAndActivationBits) {
  v1::QuantizationJob job = FinishedJob();
  v1::LayerRotation& rotation =
      *job.mutable_report()->mutable_blocks(0)->mutable_layers(0)->mutable_rotation();
  rotation.set_loss_before(2);
  rotation.set_loss_after(1.5);
  rotation.set_orthogonality_error(0.0004);
  v1::ActivationBits& activations = *job.mutable_report()->mutable_activation_bits();
  for (const int32_t bits : {2, 6, 6}) activations.add_blocks()->set_bits(bits);
  activations.set_average_bits(14.0 / 3);
  activations.set_expected_loss_rise(0.0123);
  activations.mutable_blocks(1)->add_interactions();
  activations.mutable_blocks(2)->add_interactions();
  const std::string text = ReportText(job);
  EXPECT_THAT(text, testing::HasSubstr("Activation bits     4.67 on average: 2 in 1 block, 6 in 2 "
                                       "blocks; expected loss rise 0.0123 nats per token (2 "
                                       "interactions measured)\n"));
  EXPECT_THAT(text, testing::HasSubstr("Rotation            loss 2 to 1.5 (mean of 1 layers), at "
                                       "most 0.0004 from orthogonal\n"));
  EXPECT_THAT(text, testing::HasSubstr("bits  activations  damping"));
}

TEST(JobTextTest, WhatWasDoneAgainIsShownWhileTheJobRunsAndOnceInTheEnd) {
  v1::QuantizationJob job;
  job.set_state(v1::QuantizationJob::RUNNING);
  EXPECT_THAT(JobText(job), testing::Not(testing::HasSubstr("Retries")));
  job.mutable_progress()->set_worker_deaths(2);
  const std::string line = "Retries             failed attempts: 0, workers lost: 2\n";
  EXPECT_THAT(JobText(job), testing::HasSubstr(line));
  job = FinishedJob();
  job.mutable_progress()->set_worker_deaths(2);
  job.mutable_report()->set_worker_deaths(2);
  const std::string text = JobText(job);
  ASSERT_THAT(text, testing::HasSubstr(line));
  EXPECT_EQ(text.find("Retries"), text.rfind("Retries"));
}

TEST(JobTextTest, ShowsWhatARepetitionNeeds) {
  v1::QuantizationJob job = FinishedJob();
  v1::QuantizationSpec& spec = *job.mutable_spec();
  spec.set_seed(7);
  spec.mutable_twla()->mutable_mixed_activations()->set_average_bits(5);
  spec.mutable_evaluation()->add_files("held-out.txt");
  spec.mutable_evaluation()->set_windows(40);
  spec.mutable_evaluation()->set_window_length(2048);
  const std::string text = JobText(job);
  EXPECT_THAT(text, testing::HasSubstr("twla activation_bits=auto average_activation_bits=5\n"));
  EXPECT_THAT(text, testing::HasSubstr("Seed                7\n"));
  EXPECT_THAT(text, testing::HasSubstr("held-out.txt (40 windows of 2048 tokens)\n"));
}

TEST(JobsTableTest, HasARowPerJob) {
  v1::QuantizationJob job = FinishedJob();
  job.mutable_spec()->set_model("/models/demo");
  job.mutable_spec()->mutable_pt2llm();
  job.mutable_progress()->set_blocks_done(6);
  job.mutable_progress()->set_blocks_total(6);
  EXPECT_EQ(JobsTable({job}),
            "NAME                                      STATE      BLOCKS  CREATED               "
            "METHOD  MODEL\n"
            "namespaces/default/quantizationJobs/demo  SUCCEEDED     6/6  2026-01-31 12:00:00Z  "
            "pt2llm  /models/demo\n");
}

}  // namespace
}  // namespace tern
