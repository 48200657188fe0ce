#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "proto/service/metrics_page.h"
#include "server/metrics/process_metrics.h"
#include "tests/integration/api/http_get.h"
#include "tests/integration/api/scripted_worker.h"
#include "tests/integration/api/test_server.h"

namespace tern {
namespace {

// Series of a Prometheus page, by name with labels.
std::map<std::string, double> Scrape(int port) {
  std::map<std::string, double> series;
  const std::string page = HttpGet(port, "/metrics");
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    const size_t space = line.rfind(' ');
    double value = 0;
    if (line.empty() || line[0] == '#' || space == absl::string_view::npos) continue;
    if (absl::SimpleAtod(line.substr(space + 1), &value)) {
      series[std::string(line.substr(0, space))] = value;
    }
  }
  return series;
}

class MetricsTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.registry()->AtScrape([] { return ProcessMetrics(absl::Now()); });
    page_ = MetricsPage::Start("127.0.0.1:0", server_.registry(), [] {
              return absl::OkStatus();
            }).value();
  }

  double Value(const std::string& name) {
    const auto series = Scrape(page_->port());
    const auto found = series.find(name);
    if (found == series.end()) {
      ADD_FAILURE() << "no series " << name;
      return -1;
    }
    return found->second;
  }

  TestServer server_;
  std::unique_ptr<MetricsPage> page_;
};

TEST_F(MetricsTest, EverySeriesIsThereFromTheStart) {
  const auto series = Scrape(page_->port());
  for (const char* name :
       {"tern_jobs{state=\"PENDING\"}",
        "tern_jobs{state=\"FAILED\"}",
        "tern_tasks_ready",
        "tern_tasks_leased",
        "tern_data_free_bytes",
        "tern_oldest_ready_task_age_seconds",
        "tern_lease_expiries_total",
        "tern_stale_writes_refused_total{what=\"upload\"}",
        "tern_task_attempts_total{kind=\"quantize\",outcome=\"failed\"}",
        "tern_block_seconds_count{stage=\"fit\"}",
        "tern_calibrated_tokens_total",
        "tern_reconstruction_error_count",
        "tern_bytes_received_total",
        "tern_bytes_sent_total",
        "tern_rpcs_total{code=\"OK\",method=\"tern.v1.QuantizationService/GetQuantizationJob\"}",
        "tern_rpc_duration_seconds_count{method=\"tern.worker.v1.WorkerService/Synchronize\"}",
        "tern_rpc_stream_duration_seconds_count{method=\"tern.worker.v1.WorkerService/WriteBlob\"}",
        "tern_workers{state=\"IDLE\"}",
        "tern_workers{state=\"LOST\"}",
        "tern_process_resident_memory_bytes",
        "tern_process_start_time_seconds"}) {
    EXPECT_TRUE(series.contains(name)) << name;
  }
}

TEST_F(MetricsTest, TheFreeDiskIsThatOfTheDataFolder) {
  EXPECT_GT(Value("tern_data_free_bytes"), 0);
  // Others write to that disk too, so only the whole of it is a limit.
  EXPECT_LE(Value("tern_data_free_bytes"),
            static_cast<double>(std::filesystem::space(server_.folder()).capacity));
}

TEST_F(MetricsTest, AJobMovesThem) {
  server_.CreateSmallJob();
  EXPECT_EQ(Value("tern_jobs{state=\"PENDING\"}"), 1);
  EXPECT_EQ(Value("tern_tasks_ready"), 1);

  ScriptedWorker worker(server_.workers(), "w");
  const worker::v1::Task scan = worker.NextTask();
  EXPECT_EQ(Value("tern_jobs{state=\"RUNNING\"}"), 1);
  EXPECT_EQ(Value("tern_tasks_leased"), 1);
  EXPECT_EQ(Value("tern_workers{state=\"BUSY\"}"), 1);

  worker::v1::SynchronizeResponse response;
  ASSERT_TRUE(worker.Finish(scan, response).ok());
  worker.WorkUntilIdle();
  EXPECT_EQ(Value("tern_jobs{state=\"SUCCEEDED\"}"), 1);
  EXPECT_EQ(Value("tern_tasks_ready"), 0);
  EXPECT_EQ(Value("tern_task_attempts_total{kind=\"scan\",outcome=\"succeeded\"}"), 1);
  const double blocks = Value("tern_task_attempts_total{kind=\"quantize\",outcome=\"succeeded\"}");
  EXPECT_GT(blocks, 0);
  // As ScriptedWorker reports: 64 tokens, one layer and a quarter of a second of fitting a block.
  EXPECT_EQ(Value("tern_calibrated_tokens_total"), 64 * blocks);
  EXPECT_EQ(Value("tern_reconstruction_error_count"), blocks);
  EXPECT_EQ(Value("tern_block_seconds_sum{stage=\"fit\"}"), 0.25 * blocks);
  EXPECT_GT(Value("tern_bytes_received_total"), 2 * blocks * (1 << 20));
}

TEST_F(MetricsTest, BytesSentAreThoseOfFiles) {
  const std::string name = server_.CreateSmallJob().name();
  ScriptedWorker(server_.workers(), "w").WorkUntilIdle();
  grpc::ClientContext context;
  v1::StreamCheckpointRequest request;
  request.set_name(name);
  const auto reader = server_.jobs().StreamCheckpoint(&context, request);
  v1::StreamCheckpointResponse piece;
  double bytes = 0;
  while (reader->Read(&piece)) bytes += static_cast<double>(piece.data().size());
  EXPECT_EQ(reader->Finish().error_message(), "");
  EXPECT_EQ(Value("tern_bytes_sent_total"), bytes);
}

TEST_F(MetricsTest, CallsAreCountedByMethodAndCode) {
  const std::string method = "tern.v1.QuantizationService/GetQuantizationJob";
  grpc::ClientContext context;
  v1::GetQuantizationJobRequest request;
  request.set_name("namespaces/default/quantizationJobs/none");
  v1::QuantizationJob job;
  server_.jobs().GetQuantizationJob(&context, request, &job);
  EXPECT_EQ(Value("tern_rpcs_total{code=\"NOT_FOUND\",method=\"" + method + "\"}"), 1);
  EXPECT_EQ(Value("tern_rpc_duration_seconds_count{method=\"" + method + "\"}"), 1);
}

TEST_F(MetricsTest, StaleWritesAndLostLeasesAreCounted) {
  server_.CreateSmallJob();
  ScriptedWorker worker(server_.workers(), "w", "local-1");
  const worker::v1::Task task = worker.NextTask();
  ASSERT_TRUE(server_.api().EndWorker("local-1").ok());
  worker::v1::SynchronizeResponse response;
  EXPECT_FALSE(worker.Complete(task, response).ok());
  EXPECT_EQ(Value("tern_lease_expiries_total"), 1);
  EXPECT_EQ(Value("tern_stale_writes_refused_total{what=\"completion\"}"), 1);
  EXPECT_EQ(Value("tern_task_attempts_total{kind=\"scan\",outcome=\"lost\"}"), 1);
}

}  // namespace
}  // namespace tern
