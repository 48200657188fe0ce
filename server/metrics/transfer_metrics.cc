#include "server/metrics/transfer_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

namespace tern {

TransferMetrics::TransferMetrics(prometheus::Registry& registry)
    : received_(prometheus::BuildCounter()
                    .Name("tern_bytes_received_total")
                    .Help("Bytes of files that workers uploaded.")
                    .Register(registry)
                    .Add({})),
      sent_(prometheus::BuildCounter()
                .Name("tern_bytes_sent_total")
                .Help("Bytes of files sent to clients and workers.")
                .Register(registry)
                .Add({})) {}

void TransferMetrics::CountReceived(int64_t bytes) {
  received_.Increment(static_cast<double>(bytes));
}

void TransferMetrics::CountSent(int64_t bytes) { sent_.Increment(static_cast<double>(bytes)); }

}  // namespace tern
