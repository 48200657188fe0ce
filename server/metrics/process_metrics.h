#ifndef TERN_SERVER_METRICS_PROCESS_METRICS_H_
#define TERN_SERVER_METRICS_PROCESS_METRICS_H_

#include <prometheus/metric_family.h>

#include <vector>

#include "absl/time/time.h"

namespace tern {

// This process at this moment: resident memory, start time, version.
std::vector<prometheus::MetricFamily> ProcessMetrics(absl::Time start_time);

}  // namespace tern

#endif  // TERN_SERVER_METRICS_PROCESS_METRICS_H_
