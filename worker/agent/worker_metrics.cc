#include "worker/agent/worker_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace tern {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

const Histogram::BucketBoundaries kStageSeconds = {0.01, 0.05, 0.1, 0.25, 0.5, 1,   2.5, 5,
                                                   10,   30,   60,  120,  300, 600, 1800};
const Histogram::BucketBoundaries kRpcSeconds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5,
                                                 1,     5,     10,   30,   60};
const Histogram::BucketBoundaries kRelativeErrors = {0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.075,
                                                     0.1,   0.15,  0.2,  0.3,  0.5,  1};

Family<Counter>& CounterFamily(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Gauge>& GaugeFamily(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Histogram>& HistogramFamily(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

// Metrics without labels are made at once, so that they are there, at zero, from the first scrape.
struct WorkerMetrics::Families {
  explicit Families(Registry& registry)
      : tasks(CounterFamily(registry, "tern_worker_tasks_total",
                            "Tasks that ended on this worker, by kind and outcome.")),
        busy(GaugeFamily(registry, "tern_worker_busy", "1 while a task is computed, else 0.")
                 .Add({})),
        warm_shards(GaugeFamily(registry, "tern_worker_warm_shards",
                                "Shards whose calibration state is held in memory.")
                        .Add({})),
        resident_bytes(GaugeFamily(registry, "tern_worker_resident_memory_bytes",
                                   "Resident memory of the process.")
                           .Add({})),
        device_peak_bytes(
            GaugeFamily(
                registry, "tern_worker_device_memory_peak_bytes",
                "The most of the device's own memory that tensors took at one time; 0 where "
                "it has none.")
                .Add({})),
        rebuilds(CounterFamily(registry, "tern_worker_state_rebuilds_total",
                               "Calibration states made by running committed blocks again.")
                     .Add({})),
        block_seconds(HistogramFamily(registry, "tern_worker_block_seconds",
                                      "Wall-clock seconds of a quantized block, by stage.")),
        calibrated_tokens(CounterFamily(registry, "tern_worker_calibrated_tokens_total",
                                        "Calibration tokens that went through quantized blocks.")
                              .Add({})),
        reconstruction_error(HistogramFamily(registry, "tern_worker_reconstruction_error",
                                             "Relative squared output error of quantized layers.")
                                 .Add({}, kRelativeErrors)),
        received_bytes(CounterFamily(registry, "tern_worker_bytes_received_total",
                                     "Bytes of blobs read from the server.")
                           .Add({})),
        sent_bytes(CounterFamily(registry, "tern_worker_bytes_sent_total",
                                 "Bytes of blobs written to the server.")
                       .Add({})),
        rpcs(CounterFamily(registry, "tern_worker_rpcs_total",
                           "Calls to the server, by method and status code.")),
        rpc_seconds(HistogramFamily(registry, "tern_worker_rpc_duration_seconds",
                                    "Duration of calls to the server, by method.")) {}

  Family<Counter>& tasks;
  Gauge& busy;
  Gauge& warm_shards;
  Gauge& resident_bytes;
  Gauge& device_peak_bytes;
  Counter& rebuilds;
  Family<Histogram>& block_seconds;
  Counter& calibrated_tokens;
  Histogram& reconstruction_error;
  Counter& received_bytes;
  Counter& sent_bytes;
  Family<Counter>& rpcs;
  Family<Histogram>& rpc_seconds;
};

WorkerMetrics::WorkerMetrics(absl::string_view version)
    : registry_(std::make_shared<Registry>()), families_(std::make_unique<Families>(*registry_)) {
  GaugeFamily(*registry_, "tern_worker_build_info", "1, labelled with the build's version.")
      .Add({{"version", std::string(version)}})
      .Set(1);
}

WorkerMetrics::~WorkerMetrics() = default;

std::shared_ptr<Registry> WorkerMetrics::registry() const { return registry_; }

void WorkerMetrics::CountTask(absl::string_view kind, absl::string_view outcome) {
  families_->tasks.Add({{"kind", std::string(kind)}, {"outcome", std::string(outcome)}})
      .Increment();
}

void WorkerMetrics::SetBusy(bool busy) { families_->busy.Set(busy ? 1 : 0); }

void WorkerMetrics::SetWarmShards(int64_t shards) {
  families_->warm_shards.Set(static_cast<double>(shards));
}

void WorkerMetrics::SetResidentBytes(int64_t bytes) {
  families_->resident_bytes.Set(static_cast<double>(bytes));
}

void WorkerMetrics::SetDevicePeakBytes(int64_t bytes) {
  families_->device_peak_bytes.Set(static_cast<double>(bytes));
}

void WorkerMetrics::CountStateRebuild() { families_->rebuilds.Increment(); }

void WorkerMetrics::ObserveBlockStage(absl::string_view stage, double seconds) {
  families_->block_seconds.Add({{"stage", std::string(stage)}}, kStageSeconds).Observe(seconds);
}

void WorkerMetrics::CountCalibratedTokens(int64_t tokens) {
  families_->calibrated_tokens.Increment(static_cast<double>(tokens));
}

void WorkerMetrics::ObserveReconstructionError(double error) {
  families_->reconstruction_error.Observe(error);
}

void WorkerMetrics::CountReceivedBytes(int64_t bytes) {
  families_->received_bytes.Increment(static_cast<double>(bytes));
}

void WorkerMetrics::CountSentBytes(int64_t bytes) {
  families_->sent_bytes.Increment(static_cast<double>(bytes));
}

void WorkerMetrics::CountRpc(absl::string_view method, absl::StatusCode code, absl::Duration took) {
  const std::string name(method);
  families_->rpcs.Add({{"method", name}, {"code", absl::StatusCodeToString(code)}}).Increment();
  families_->rpc_seconds.Add({{"method", name}}, kRpcSeconds).Observe(absl::ToDoubleSeconds(took));
}

}  // namespace tern
