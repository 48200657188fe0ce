#ifndef TERN_SERVER_API_API_SERVER_H_
#define TERN_SERVER_API_API_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/jobs/job_system.h"
#include "server/metrics/transfer_metrics.h"

namespace prometheus {
class Registry;
}

namespace tern {

// The gRPC server: Tern's services, health and reflection on one port. Thread-safe.
class ApiServer {
 public:
  struct Options {
    // "host:port"; port 0 picks a free one.
    std::string listen;
    // Threads for calls that wait for database or disk, and for submissions.
    int threads = 8;
    int submission_threads = 2;
  };

  // UNAVAILABLE when the address cannot be bound. The references outlive the server.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(
      const Options& options, JobSystem& jobs, TransferMetrics& transfers,
      std::shared_ptr<prometheus::Registry> registry);
  // Stops at once unless Stop was called.
  ~ApiServer();

  int port() const;
  bool serving() const;

  // The supervised worker process is gone: what it holds is free at once.
  absl::Status EndWorker(absl::string_view supervisor);

  // Offers workers nothing new; health says NOT_SERVING. All calls go on.
  void Drain();

  // Ends every call, streams with UNAVAILABLE, and closes the port. Clients of calls in work are
  // cut off after `grace`; the work itself is waited for: one store or disk operation, of a
  // submission what lasts until the end of the document that is being tokenized.
  void Stop(absl::Duration grace);

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_API_SERVER_H_
