#ifndef TERN_SERVER_JOBS_UPLOADS_H_
#define TERN_SERVER_JOBS_UPLOADS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/digest.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/jobs_context.h"
#include "server/jobs/leases.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// A file being uploaded under a lease. Destroying it before Commit leaves nothing.
// Thread-compatible.
class Upload {
 public:
  // ABORTED (STALE_LEASE) unless the lease is live; INVALID_ARGUMENT for a path that is no plain
  // file name, belongs to the server (report, manifest, model card) or to another task;
  // RESOURCE_EXHAUSTED (DISK_FULL) when it would not fit on the disk.
  static absl::StatusOr<std::unique_ptr<Upload>> Begin(
      const JobsContext& context, const worker::v1::WriteBlobRequest::Header& header);

  // INVALID_ARGUMENT past the announced size.
  absl::Status Append(std::span<const uint8_t> bytes);

  // Checks size (INVALID_ARGUMENT) and SHA-256 (DATA_LOSS), makes the bytes durable and, if the
  // lease is still live (else ABORTED), notes them for the task's completion. An earlier upload of
  // the same path under this lease is replaced.
  absl::Status Commit();

  int64_t received() const { return received_; }

 private:
  Upload(const JobsContext& context, worker::v1::WriteBlobRequest::Header header, LeaseKey lease);

  absl::Status CheckMayWrite(StoreReader& reader) const;
  absl::Status RefuseIfStale(absl::Status status) const;

  const JobsContext& context_;
  const worker::v1::WriteBlobRequest::Header header_;
  const LeaseKey lease_;
  const std::string blob_key_;
  std::unique_ptr<BlobWriter> writer_;
  Sha256 sha256_;
  int64_t received_ = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_UPLOADS_H_
