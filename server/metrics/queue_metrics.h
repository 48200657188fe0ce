#ifndef TERN_SERVER_METRICS_QUEUE_METRICS_H_
#define TERN_SERVER_METRICS_QUEUE_METRICS_H_

#include <prometheus/metric_family.h>

#include <vector>

#include "server/jobs/job_system.h"

namespace tern {

// Jobs, tasks, workers and the room for files as they are at this moment. What the stores cannot
// tell now is left out.
std::vector<prometheus::MetricFamily> QueueMetrics(JobSystem& jobs);

}  // namespace tern

#endif  // TERN_SERVER_METRICS_QUEUE_METRICS_H_
