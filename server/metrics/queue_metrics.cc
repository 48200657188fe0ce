#include "server/metrics/queue_metrics.h"

#include <algorithm>
#include <map>
#include <string>

#include "server/jobs/worker_state.h"
#include "server/metrics/scrape_registry.h"
#include "tern/v1/quantization_job.pb.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {
namespace {

// A gauge with one label that tells its series apart.
prometheus::MetricFamily LabelledFamily(const char* name, const char* help, const char* label,
                                        const std::map<std::string, double>& values) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  for (const auto& [label_value, value] : values) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = {{label, label_value}};
    metric.gauge.value = value;
  }
  return family;
}

prometheus::MetricFamily WorkersFamily(const std::vector<WorkerInfo>& workers) {
  std::map<std::string, double> counts;
  for (const auto state :
       {v1::Worker::IDLE, v1::Worker::BUSY, v1::Worker::DRAINING, v1::Worker::LOST}) {
    counts[v1::Worker::State_Name(state)] = 0;
  }
  for (const WorkerInfo& worker : workers) ++counts[v1::Worker::State_Name(StateOf(worker))];
  return LabelledFamily("tern_workers", "Workers heard from lately, by state.", "state", counts);
}

prometheus::MetricFamily JobsFamily(const std::map<JobState, int64_t>& jobs) {
  std::map<std::string, double> counts;
  for (const auto& [state, count] : jobs) {
    const auto proto_state = static_cast<v1::QuantizationJob::State>(state);
    counts[v1::QuantizationJob::State_Name(proto_state)] = static_cast<double>(count);
  }
  return LabelledFamily("tern_jobs", "Jobs kept, by state.", "state", counts);
}

}  // namespace

std::vector<prometheus::MetricFamily> QueueMetrics(JobSystem& jobs) {
  std::vector<prometheus::MetricFamily> families = {WorkersFamily(jobs.workers().List())};
  if (const auto counts = jobs.operations().CountJobs(); counts.ok()) {
    families.push_back(JobsFamily(*counts));
  }
  if (const auto counts = jobs.operations().CountTasks(); counts.ok()) {
    const absl::Duration oldest = jobs.context().clock.Now() - counts->oldest_ready_time;
    families.push_back(GaugeFamily("tern_tasks_ready", "Tasks that wait for a worker.",
                                   static_cast<double>(counts->ready)));
    families.push_back(GaugeFamily("tern_tasks_leased", "Tasks that some worker holds.",
                                   static_cast<double>(counts->leased)));
    families.push_back(GaugeFamily("tern_oldest_ready_task_age_seconds",
                                   "How long the longest waiting task has waited; 0 without any.",
                                   std::max(absl::ToDoubleSeconds(oldest), 0.0)));
  }
  if (const auto free = jobs.context().blobs.FreeBytes(); free.ok()) {
    families.push_back(GaugeFamily("tern_data_free_bytes",
                                   "Bytes that are left on the disk of the server's data folder.",
                                   static_cast<double>(*free)));
  }
  return families;
}

}  // namespace tern
