#include "server/api/quantization_service.h"

#include <google/protobuf/util/time_util.h>

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "checkpoint/model_config.h"
#include "checkpoint/status_macros.h"
#include "proto/service/rpc_status.h"
#include "proto/service/version.h"
#include "server/api/blob_source.h"
#include "server/api/checkpoint_source.h"
#include "server/api/exception_barrier.h"
#include "server/api/response_stream.h"
#include "server/api/watch_source.h"
#include "server/api/worker_list.h"

namespace tern {
namespace {

// Answers a call with what `handler`, an absl::Status(), makes of it on the executor.
template <typename Handler>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, Executor& executor,
                                 Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  executor.Run([reactor, handler = std::move(handler)] {
    reactor->Finish(ToGrpcStatus(CatchExceptions(handler)));
  });
  return reactor;
}

// Moves a result into the call's response.
template <typename Response>
absl::Status Give(absl::StatusOr<Response> result, Response* response) {
  if (!result.ok()) return result.status();
  *response = *std::move(result);
  return absl::OkStatus();
}

}  // namespace

QuantizationServiceImpl::QuantizationServiceImpl(JobSystem& jobs, Executor& executor,
                                                 Executor& submissions, Lifecycle& lifecycle,
                                                 TransferMetrics& transfers)
    : jobs_(jobs),
      executor_(executor),
      submissions_(submissions),
      lifecycle_(lifecycle),
      transfers_(transfers),
      start_time_(absl::Now()) {}

grpc::ServerUnaryReactor* QuantizationServiceImpl::CreateQuantizationJob(
    grpc::CallbackServerContext* context, const v1::CreateQuantizationJobRequest* request,
    v1::QuantizationJob* response) {
  return Answer(context, submissions_, [this, context, request, response]() -> absl::Status {
    // The client may give up, or its deadline pass, while the call waits behind others or reads
    // texts; and a server that stops waits for its calls.
    const auto still_wanted = [this, context]() -> absl::Status {
      if (lifecycle_.phase() == Lifecycle::Phase::kStopping) return Lifecycle::StoppingStatus();
      if (context->IsCancelled()) return absl::CancelledError("the client has gone");
      return absl::OkStatus();
    };
    TERN_RETURN_IF_ERROR(still_wanted());
    return Give(jobs_.submission().Create(*request, still_wanted), response);
  });
}

grpc::ServerUnaryReactor* QuantizationServiceImpl::GetQuantizationJob(
    grpc::CallbackServerContext* context, const v1::GetQuantizationJobRequest* request,
    v1::QuantizationJob* response) {
  return Answer(context, executor_, [this, request, response] {
    return Give(jobs_.operations().Get(request->name()), response);
  });
}

grpc::ServerUnaryReactor* QuantizationServiceImpl::ListQuantizationJobs(
    grpc::CallbackServerContext* context, const v1::ListQuantizationJobsRequest* request,
    v1::ListQuantizationJobsResponse* response) {
  return Answer(context, executor_, [this, request, response] {
    return Give(jobs_.operations().List(*request), response);
  });
}

grpc::ServerUnaryReactor* QuantizationServiceImpl::CancelQuantizationJob(
    grpc::CallbackServerContext* context, const v1::CancelQuantizationJobRequest* request,
    v1::QuantizationJob* response) {
  return Answer(context, executor_, [this, request, response] {
    return Give(jobs_.operations().Cancel(request->name()), response);
  });
}

grpc::ServerUnaryReactor* QuantizationServiceImpl::DeleteQuantizationJob(
    grpc::CallbackServerContext* context, const v1::DeleteQuantizationJobRequest* request,
    google::protobuf::Empty* /*response*/) {
  return Answer(context, executor_,
                [this, request] { return jobs_.operations().Delete(request->name()); });
}

// The streams below own themselves until gRPC is done with them.

grpc::ServerWriteReactor<v1::WatchQuantizationJobResponse>*
QuantizationServiceImpl::WatchQuantizationJob(grpc::CallbackServerContext* context,
                                              const v1::WatchQuantizationJobRequest* request) {
  return new ResponseStream<v1::WatchQuantizationJobResponse>(
      context, executor_, lifecycle_, std::make_unique<WatchSource>(jobs_, *request));
}

grpc::ServerWriteReactor<v1::StreamCheckpointResponse>* QuantizationServiceImpl::StreamCheckpoint(
    grpc::CallbackServerContext* context, const v1::StreamCheckpointRequest* request) {
  return new ResponseStream<v1::StreamCheckpointResponse>(
      context, executor_, lifecycle_,
      std::make_unique<CheckpointSource>(jobs_, transfers_, *request));
}

grpc::ServerUnaryReactor* QuantizationServiceImpl::ListWorkers(
    grpc::CallbackServerContext* context, const v1::ListWorkersRequest* /*request*/,
    v1::ListWorkersResponse* response) {
  return Answer(context, executor_, [this, response] {
    for (const WorkerInfo& worker : jobs_.workers().List()) {
      *response->add_workers() = ToProto(worker);
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* QuantizationServiceImpl::GetServerInfo(
    grpc::CallbackServerContext* context, const v1::GetServerInfoRequest* /*request*/,
    v1::ServerInfo* response) {
  return Answer(context, executor_, [this, response] {
    response->set_version(kVersion);
    const auto* methods = v1::QuantizationSpec::descriptor()->FindOneofByName("method");
    for (int i = 0; i < methods->field_count(); ++i) {
      response->add_methods(methods->field(i)->name());
    }
    for (const std::string& architecture : SupportedArchitectures()) {
      response->add_architectures(architecture);
    }
    for (const std::string& root : jobs_.context().options.input_roots) {
      response->add_input_roots(root);
    }
    *response->mutable_start_time() =
        google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(start_time_));
    return absl::OkStatus();
  });
}

}  // namespace tern
