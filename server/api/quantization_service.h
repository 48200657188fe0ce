#ifndef TERN_SERVER_API_QUANTIZATION_SERVICE_H_
#define TERN_SERVER_API_QUANTIZATION_SERVICE_H_

#include "server/api/executor.h"
#include "server/api/lifecycle.h"
#include "server/jobs/job_system.h"
#include "server/metrics/transfer_metrics.h"
#include "tern/v1/quantization_service.grpc.pb.h"

namespace tern {

// tern.v1.QuantizationService over the job system. Thread-safe.
class QuantizationServiceImpl : public v1::QuantizationService::CallbackService {
 public:
  // The references outlive the service. Submissions, which may take seconds each, have threads of
  // their own.
  QuantizationServiceImpl(JobSystem& jobs, Executor& executor, Executor& submissions,
                          Lifecycle& lifecycle, TransferMetrics& transfers);

  grpc::ServerUnaryReactor* CreateQuantizationJob(grpc::CallbackServerContext* context,
                                                  const v1::CreateQuantizationJobRequest* request,
                                                  v1::QuantizationJob* response) override;
  grpc::ServerUnaryReactor* GetQuantizationJob(grpc::CallbackServerContext* context,
                                               const v1::GetQuantizationJobRequest* request,
                                               v1::QuantizationJob* response) override;
  grpc::ServerUnaryReactor* ListQuantizationJobs(
      grpc::CallbackServerContext* context, const v1::ListQuantizationJobsRequest* request,
      v1::ListQuantizationJobsResponse* response) override;
  grpc::ServerUnaryReactor* CancelQuantizationJob(grpc::CallbackServerContext* context,
                                                  const v1::CancelQuantizationJobRequest* request,
                                                  v1::QuantizationJob* response) override;
  grpc::ServerUnaryReactor* DeleteQuantizationJob(grpc::CallbackServerContext* context,
                                                  const v1::DeleteQuantizationJobRequest* request,
                                                  google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<v1::WatchQuantizationJobResponse>* WatchQuantizationJob(
      grpc::CallbackServerContext* context,
      const v1::WatchQuantizationJobRequest* request) override;
  grpc::ServerWriteReactor<v1::StreamCheckpointResponse>* StreamCheckpoint(
      grpc::CallbackServerContext* context, const v1::StreamCheckpointRequest* request) override;
  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* context,
                                        const v1::ListWorkersRequest* request,
                                        v1::ListWorkersResponse* response) override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override;

 private:
  JobSystem& jobs_;
  Executor& executor_;
  Executor& submissions_;
  Lifecycle& lifecycle_;
  TransferMetrics& transfers_;
  const absl::Time start_time_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_QUANTIZATION_SERVICE_H_
