#ifndef TERN_SERVER_API_UPLOAD_CALL_H_
#define TERN_SERVER_API_UPLOAD_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>

#include "absl/status/status.h"
#include "server/api/executor.h"
#include "server/jobs/job_system.h"
#include "server/jobs/uploads.h"
#include "server/metrics/transfer_metrics.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// One WriteBlob: takes the header, then pieces one at a time, and commits when the worker has sent
// all. Removes itself at its end, and with it whatever was not committed.
class UploadCall : public grpc::ServerReadReactor<worker::v1::WriteBlobRequest> {
 public:
  // Started by the constructor. `context` is the call's, the others outlive it.
  UploadCall(grpc::CallbackServerContext* context, Executor& executor, JobSystem& jobs,
             TransferMetrics& transfers);

  void OnReadDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  // On the executor, one at a time, as only one read is outstanding.
  void Process(bool message);
  absl::Status Take(const worker::v1::WriteBlobRequest& message);
  absl::Status Commit();

  grpc::CallbackServerContext* const context_;
  Executor& executor_;
  JobSystem& jobs_;
  TransferMetrics& transfers_;
  worker::v1::WriteBlobRequest message_;
  std::unique_ptr<Upload> upload_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_UPLOAD_CALL_H_
