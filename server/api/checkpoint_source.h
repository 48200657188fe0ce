#ifndef TERN_SERVER_API_CHECKPOINT_SOURCE_H_
#define TERN_SERVER_API_CHECKPOINT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "server/api/file_pieces.h"
#include "server/api/stream_source.h"
#include "server/jobs/change_signal.h"
#include "server/jobs/job_system.h"
#include "server/metrics/transfer_metrics.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// What StreamCheckpoint sends: the job's files in the order they are committed, as they appear.
class CheckpointSource : public StreamSource<v1::StreamCheckpointResponse> {
 public:
  // The references outlive the source.
  CheckpointSource(JobSystem& jobs, TransferMetrics& transfers,
                   const v1::StreamCheckpointRequest& request)
      : jobs_(jobs), transfers_(transfers), request_(request) {}

  absl::StatusOr<StreamStep> Pull(v1::StreamCheckpointResponse& response,
                                  const std::function<void()>& wake) override;

 private:
  absl::Status Start();
  absl::Status Open(OpenFile file);

  JobSystem& jobs_;
  TransferMetrics& transfers_;
  const v1::StreamCheckpointRequest request_;
  std::string job_uid_;  // empty before the first Pull
  int64_t next_index_ = 0;
  std::optional<FilePieces> pieces_;
  ChangeSignal::Registration change_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_CHECKPOINT_SOURCE_H_
