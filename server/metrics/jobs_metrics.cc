#include "server/metrics/jobs_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "proto/service/block_stages.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {
namespace {

// What a worker of another version calls a stage, so that it cannot make series without end.
constexpr absl::string_view kOther = "other";

const prometheus::Histogram::BucketBoundaries kStageSeconds = {0.01, 0.05, 0.1, 0.5, 1,   2.5, 5,
                                                               10,   30,   60,  120, 300, 900};
// ‖(W − Ŵ)X‖² / ‖WX‖² of one layer: a few hundredths is usual.
const prometheus::Histogram::BucketBoundaries kErrors = {
    0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1};

prometheus::Counter& AddCounter(prometheus::Registry& registry, const char* name,
                                const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

std::string StageLabel(absl::string_view stage) {
  const bool known =
      std::find(std::begin(kBlockStages), std::end(kBlockStages), stage) != std::end(kBlockStages);
  return std::string(known ? stage : kOther);
}

}  // namespace

JobsMetrics::JobsMetrics(prometheus::Registry& registry)
    : task_attempts_(prometheus::BuildCounter()
                         .Name("tern_task_attempts_total")
                         .Help("Ended attempts at tasks, by kind and outcome.")
                         .Register(registry)),
      stale_writes_(prometheus::BuildCounter()
                        .Name("tern_stale_writes_refused_total")
                        .Help("Reports and uploads refused as their lease had moved on.")
                        .Register(registry)),
      lease_expiries_(AddCounter(registry, "tern_lease_expiries_total",
                                 "Leases taken back from workers that were lost.")),
      problems_(AddCounter(registry, "tern_problems_total",
                           "Failures of the server's own upkeep, which it tries again.")),
      calibrated_tokens_(AddCounter(registry, "tern_calibrated_tokens_total",
                                    "Calibration tokens, counted once for each finished block.")),
      block_seconds_(prometheus::BuildHistogram()
                         .Name("tern_block_seconds")
                         .Help("Seconds a finished block spent in each stage.")
                         .Register(registry)),
      reconstruction_error_(prometheus::BuildHistogram()
                                .Name("tern_reconstruction_error")
                                .Help("Relative squared error of each quantized layer's output.")
                                .Register(registry)
                                .Add({}, kErrors)) {
  // Every series is there from the start, so that its rate is defined before the first event.
  for (const char* kind :
       {"scan", "rotate", "quantize", "sensitivity", "interaction", "assemble", "evaluate"}) {
    for (const char* outcome : {"succeeded", "failed", "lost"}) {
      task_attempts_.Add({{"kind", kind}, {"outcome", outcome}});
    }
  }
  for (const char* what : {"report", "completion", "failure", "upload"}) {
    stale_writes_.Add({{"what", what}});
  }
  for (const char* stage : kBlockStages) {
    block_seconds_.Add({{"stage", stage}}, kStageSeconds);
  }
}

void JobsMetrics::TaskAttempt(const ObservedLease& /*lease*/, absl::string_view kind,
                              absl::string_view outcome) {
  task_attempts_.Add({{"kind", std::string(kind)}, {"outcome", std::string(outcome)}}).Increment();
}

void JobsMetrics::BlockFinished(absl::string_view /*job_name*/, const v1::BlockMetrics& metrics) {
  for (const auto& [stage, seconds] : metrics.seconds()) {
    block_seconds_.Add({{"stage", StageLabel(stage)}}, kStageSeconds).Observe(seconds);
  }
  for (const auto& layer : metrics.layers()) {
    if (std::isfinite(layer.reconstruction_error())) {
      reconstruction_error_.Observe(layer.reconstruction_error());
    }
  }
  calibrated_tokens_.Increment(static_cast<double>(std::max<int64_t>(metrics.tokens(), 0)));
}

void JobsMetrics::LeaseExpired(const ObservedLease& /*lease*/) { lease_expiries_.Increment(); }

void JobsMetrics::StaleWriteRefused(const ObservedLease& /*lease*/, absl::string_view what) {
  stale_writes_.Add({{"what", std::string(what)}}).Increment();
}

void JobsMetrics::Problem(absl::string_view /*doing*/, const absl::Status& /*status*/) {
  problems_.Increment();
}

}  // namespace tern
