#ifndef TERN_WORKER_AGENT_SYNCHRONIZER_H_
#define TERN_WORKER_AGENT_SYNCHRONIZER_H_

#include <stop_token>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/worker/v1/worker_service.grpc.pb.h"
#include "worker/agent/worker_metrics.h"

namespace tern {

// The lease loop's one call to the server. Tests put a scripted server in its place.
class Synchronizer {
 public:
  virtual ~Synchronizer() = default;

  // DEADLINE_EXCEEDED after `deadline`; CANCELLED when `cancel` is requested meanwhile.
  virtual absl::StatusOr<tern::worker::v1::SynchronizeResponse> Synchronize(
      const tern::worker::v1::SynchronizeRequest& request, absl::Duration deadline,
      std::stop_token cancel) = 0;
};

// Through gRPC. Thread-safe.
class GrpcSynchronizer final : public Synchronizer {
 public:
  // Both must outlive the synchronizer.
  GrpcSynchronizer(tern::worker::v1::WorkerService::StubInterface& stub, WorkerMetrics& metrics)
      : stub_(stub), metrics_(metrics) {}

  absl::StatusOr<tern::worker::v1::SynchronizeResponse> Synchronize(
      const tern::worker::v1::SynchronizeRequest& request, absl::Duration deadline,
      std::stop_token cancel) override;

 private:
  tern::worker::v1::WorkerService::StubInterface& stub_;
  WorkerMetrics& metrics_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_SYNCHRONIZER_H_
