#ifndef TERN_SERVER_API_BLOB_SOURCE_H_
#define TERN_SERVER_API_BLOB_SOURCE_H_

#include <functional>
#include <optional>

#include "server/api/file_pieces.h"
#include "server/api/stream_source.h"
#include "server/jobs/job_system.h"
#include "server/metrics/transfer_metrics.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// What ReadBlob sends: one file of a job, from an offset to its end.
class BlobSource : public StreamSource<worker::v1::ReadBlobResponse> {
 public:
  // The references outlive the source.
  BlobSource(JobSystem& jobs, TransferMetrics& transfers,
             const worker::v1::ReadBlobRequest& request)
      : jobs_(jobs), transfers_(transfers), request_(request) {}

  absl::StatusOr<StreamStep> Pull(worker::v1::ReadBlobResponse& response,
                                  const std::function<void()>& wake) override;

 private:
  JobSystem& jobs_;
  TransferMetrics& transfers_;
  const worker::v1::ReadBlobRequest request_;
  std::optional<FilePieces> pieces_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_BLOB_SOURCE_H_
