#ifndef TERN_PROTO_SERVICE_METRICS_PAGE_H_
#define TERN_PROTO_SERVICE_METRICS_PAGE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace prometheus {
class Registry;
}

namespace tern {

// A program's second port, HTTP: /metrics (Prometheus text format), /livez (200 as long as the
// process answers), /readyz (200, or 503 with the reason). Thread-safe.
class MetricsPage {
 public:
  // `address` is "host:port"; port 0 picks a free one. `ready` may be called from any thread.
  // UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Start(
      const std::string& address, std::shared_ptr<prometheus::Registry> registry,
      std::function<absl::Status()> ready);
  ~MetricsPage();

  int port() const;

 private:
  struct Impl;
  explicit MetricsPage(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_METRICS_PAGE_H_
