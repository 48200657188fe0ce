#ifndef TERN_SERVER_METRICS_TRANSFER_METRICS_H_
#define TERN_SERVER_METRICS_TRANSFER_METRICS_H_

#include <cstdint>

namespace prometheus {
class Counter;
class Registry;
}  // namespace prometheus

namespace tern {

// Bytes of files that come and go, without what gRPC adds. Thread-safe.
class TransferMetrics {
 public:
  // The registry outlives this.
  explicit TransferMetrics(prometheus::Registry& registry);

  void CountReceived(int64_t bytes);
  void CountSent(int64_t bytes);

 private:
  prometheus::Counter& received_;
  prometheus::Counter& sent_;
};

}  // namespace tern

#endif  // TERN_SERVER_METRICS_TRANSFER_METRICS_H_
