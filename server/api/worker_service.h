#ifndef TERN_SERVER_API_WORKER_SERVICE_H_
#define TERN_SERVER_API_WORKER_SERVICE_H_

#include "server/api/ended_workers.h"
#include "server/api/executor.h"
#include "server/api/lifecycle.h"
#include "server/jobs/job_system.h"
#include "server/metrics/transfer_metrics.h"
#include "tern/worker/v1/worker_service.grpc.pb.h"

namespace tern {

// tern.worker.v1.WorkerService over the job system. Thread-safe.
class WorkerServiceImpl : public worker::v1::WorkerService::CallbackService {
 public:
  // The references outlive the service.
  WorkerServiceImpl(JobSystem& jobs, Executor& executor, Lifecycle& lifecycle,
                    TransferMetrics& transfers)
      : jobs_(jobs), executor_(executor), lifecycle_(lifecycle), transfers_(transfers) {}

  // The supervised worker process is gone: what it holds is free at once.
  absl::Status EndWorker(absl::string_view supervisor);

  grpc::ServerUnaryReactor* Synchronize(grpc::CallbackServerContext* context,
                                        const worker::v1::SynchronizeRequest* request,
                                        worker::v1::SynchronizeResponse* response) override;
  grpc::ServerWriteReactor<worker::v1::ReadBlobResponse>* ReadBlob(
      grpc::CallbackServerContext* context, const worker::v1::ReadBlobRequest* request) override;
  grpc::ServerReadReactor<worker::v1::WriteBlobRequest>* WriteBlob(
      grpc::CallbackServerContext* context, worker::v1::WriteBlobResponse* response) override;

 private:
  JobSystem& jobs_;
  Executor& executor_;
  Lifecycle& lifecycle_;
  TransferMetrics& transfers_;
  EndedWorkers ended_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_WORKER_SERVICE_H_
