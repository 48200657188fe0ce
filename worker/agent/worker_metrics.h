#ifndef TERN_WORKER_AGENT_WORKER_METRICS_H_
#define TERN_WORKER_AGENT_WORKER_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace prometheus {
class Registry;
}

namespace tern {

// What a worker tells Prometheus, all with the prefix tern_worker_ and in base units. No job or
// model is ever a label. Thread-safe.
class WorkerMetrics {
 public:
  explicit WorkerMetrics(absl::string_view version);
  ~WorkerMetrics();

  std::shared_ptr<prometheus::Registry> registry() const;

  // `outcome`: "completed", "failed", "stopped" (cancelled or lease lost) or "released".
  void CountTask(absl::string_view kind, absl::string_view outcome);
  void SetBusy(bool busy);
  void SetWarmShards(int64_t shards);
  void SetResidentBytes(int64_t bytes);
  void SetDevicePeakBytes(int64_t bytes);
  void CountStateRebuild();

  // Of a finished block.
  void ObserveBlockStage(absl::string_view stage, double seconds);
  void CountCalibratedTokens(int64_t tokens);
  void ObserveReconstructionError(double error);  // of one layer

  // Bytes of blobs.
  void CountReceivedBytes(int64_t bytes);
  void CountSentBytes(int64_t bytes);
  void CountRpc(absl::string_view method, absl::StatusCode code, absl::Duration took);

 private:
  struct Families;
  std::shared_ptr<prometheus::Registry> registry_;
  std::unique_ptr<Families> families_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_WORKER_METRICS_H_
