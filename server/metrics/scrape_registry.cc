#include "server/metrics/scrape_registry.h"

namespace tern {

prometheus::MetricFamily GaugeFamily(const char* name, const char* help, double value) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  family.metric.emplace_back();
  family.metric.front().gauge.value = value;
  return family;
}

}  // namespace tern
