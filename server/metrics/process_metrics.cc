#include "server/metrics/process_metrics.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>

#include "proto/service/version.h"
#include "server/metrics/scrape_registry.h"

namespace tern {
namespace {

// 0 where the system does not tell.
int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) return 0;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

}  // namespace

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
