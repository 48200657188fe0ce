#ifndef TERN_WORKER_AGENT_BLOB_CLIENT_H_
#define TERN_WORKER_AGENT_BLOB_CLIENT_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "checkpoint/safetensors_writer.h"
#include "tern/worker/v1/worker_service.grpc.pb.h"
#include "worker/agent/worker_metrics.h"

namespace tern {

// Writes one file to a sink; called several times (to measure it, then to send it), with the same
// bytes each time.
using FileProducer = std::function<absl::Status(const ByteSink&)>;

// Moves blobs between this worker and the server. A server that cannot be reached is waited for
// until `stop` is requested; every other error is returned. Thread-safe.
class BlobClient {
 public:
  struct Timing {
    absl::Duration first_retry = absl::Milliseconds(100);
    absl::Duration longest_retry = absl::Seconds(5);
    // Of one stream. What a stream did not get done in this time the next goes on with.
    absl::Duration stream = absl::Minutes(2);
  };

  // `stub` and `metrics` must outlive the client.
  BlobClient(tern::worker::v1::WorkerService::StubInterface& stub, WorkerMetrics& metrics)
      : BlobClient(stub, metrics, Timing()) {}
  BlobClient(tern::worker::v1::WorkerService::StubInterface& stub, WorkerMetrics& metrics,
             Timing timing)
      : stub_(stub), metrics_(metrics), timing_(timing) {}

  // A whole blob of the job. After an interruption the rest is read from where it stopped; a piece
  // whose checksum does not fit is asked for again, a few times. DATA_LOSS when it stays so, or
  // when the whole does not fit its SHA-256; CANCELLED when stopped.
  absl::StatusOr<std::vector<uint8_t>> Read(const std::string& job_uid, const std::string& path,
                                            const std::stop_token& stop);

  // Uploads a file under `lease`. ABORTED when the lease is stale, RESOURCE_EXHAUSTED when the
  // server's disk is full, CANCELLED when stopped. Memory holds one piece, never the file.
  absl::Status Write(const tern::worker::v1::Lease& lease, const std::string& path,
                     const FileProducer& producer, const std::stop_token& stop);

 private:
  struct Download;
  absl::Status ReadStream(const tern::worker::v1::ReadBlobRequest& request, Download& download,
                          const std::stop_token& stop);
  absl::Status WriteStream(const tern::worker::v1::WriteBlobRequest::Header& header,
                           const FileProducer& producer, const std::stop_token& stop);

  tern::worker::v1::WorkerService::StubInterface& stub_;
  WorkerMetrics& metrics_;
  const Timing timing_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_BLOB_CLIENT_H_
