#include "server/metrics/process_metrics.h"

#include "proto/service/process_memory.h"
#include "proto/service/version.h"
#include "server/metrics/scrape_registry.h"

namespace tern {
std::vector<prometheus::MetricFamily> ProcessMetrics(absl::Time start_time) {
  prometheus::MetricFamily build =
      GaugeFamily("tern_build_info", "1, labelled with the version that runs.", 1);
  build.metric.front().label = {{"version", kVersion}};
  return {GaugeFamily("tern_process_resident_memory_bytes", "Resident memory of the server.",
                      static_cast<double>(ResidentBytes())),
          GaugeFamily("tern_process_start_time_seconds", "When the server started, Unix time.",
                      absl::ToDoubleSeconds(start_time - absl::UnixEpoch())),
          build};
}

}  // namespace tern
