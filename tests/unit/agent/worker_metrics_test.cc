#include "worker/agent/worker_metrics.h"

#include <gmock/gmock.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <string>

namespace tern {
namespace {

using ::testing::HasSubstr;

std::string Page(const WorkerMetrics& metrics) {
  return prometheus::TextSerializer().Serialize(metrics.registry()->Collect());
}

TEST(WorkerMetricsTest, WhatHasNoLabelsIsThereFromTheFirstScrape) {
  const std::string page = Page(WorkerMetrics("1.2.3"));
  EXPECT_THAT(page, HasSubstr("tern_worker_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("tern_worker_busy 0\n"));
  EXPECT_THAT(page, HasSubstr("tern_worker_calibrated_tokens_total 0\n"));
  EXPECT_THAT(page, HasSubstr("tern_worker_state_rebuilds_total 0\n"));
  EXPECT_THAT(page, HasSubstr("tern_worker_bytes_received_total 0\n"));
  EXPECT_THAT(page, HasSubstr("tern_worker_reconstruction_error_count 0\n"));
}

TEST(WorkerMetricsTest, TasksAreCountedByKindAndOutcome) {
  WorkerMetrics metrics("1");
  metrics.CountTask("quantize", "completed");
  metrics.CountTask("quantize", "completed");
  metrics.CountTask("scan", "failed");
  const std::string page = Page(metrics);
  EXPECT_THAT(page,
              HasSubstr("tern_worker_tasks_total{kind=\"quantize\",outcome=\"completed\"} 2"));
  EXPECT_THAT(page, HasSubstr("tern_worker_tasks_total{kind=\"scan\",outcome=\"failed\"} 1"));
}

TEST(WorkerMetricsTest, CallsAreCountedByMethodAndCodeAndTimedByMethod) {
  WorkerMetrics metrics("1");
  metrics.CountRpc("ReadBlob", absl::StatusCode::kOk, absl::Seconds(2));
  metrics.CountRpc("ReadBlob", absl::StatusCode::kUnavailable, absl::Seconds(1));
  const std::string page = Page(metrics);
  EXPECT_THAT(page, HasSubstr("tern_worker_rpcs_total{code=\"OK\",method=\"ReadBlob\"} 1"));
  EXPECT_THAT(page,
              HasSubstr("tern_worker_rpcs_total{code=\"UNAVAILABLE\",method=\"ReadBlob\"} 1"));
  EXPECT_THAT(page, HasSubstr("tern_worker_rpc_duration_seconds_sum{method=\"ReadBlob\"} 3"));
}

TEST(WorkerMetricsTest, BlocksAreTimedByStage) {
  WorkerMetrics metrics("1");
  metrics.ObserveBlockStage("fit", 0.5);
  EXPECT_THAT(Page(metrics), HasSubstr("tern_worker_block_seconds_sum{stage=\"fit\"} 0.5"));
}

}  // namespace
}  // namespace tern
