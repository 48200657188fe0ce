#include "server/api/worker_service.h"

#include <memory>

#include "server/api/blob_source.h"
#include "server/api/response_stream.h"
#include "server/api/synchronize_call.h"
#include "server/api/upload_call.h"

namespace tern {

// The calls below own themselves until gRPC is done with them.

absl::Status WorkerServiceImpl::EndWorker(absl::string_view supervisor) {
  ended_.Add(supervisor);
  return jobs_.scheduler().ExpireSupervised(supervisor);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Synchronize(
    grpc::CallbackServerContext* context, const worker::v1::SynchronizeRequest* request,
    worker::v1::SynchronizeResponse* response) {
  return new SynchronizeCall(context, executor_, lifecycle_, jobs_, ended_, *request, *response);
}

grpc::ServerWriteReactor<worker::v1::ReadBlobResponse>* WorkerServiceImpl::ReadBlob(
    grpc::CallbackServerContext* context, const worker::v1::ReadBlobRequest* request) {
  return new ResponseStream<worker::v1::ReadBlobResponse>(
      context, executor_, lifecycle_, std::make_unique<BlobSource>(jobs_, transfers_, *request));
}

grpc::ServerReadReactor<worker::v1::WriteBlobRequest>* WorkerServiceImpl::WriteBlob(
    grpc::CallbackServerContext* context, worker::v1::WriteBlobResponse* /*response*/) {
  return new UploadCall(context, executor_, jobs_, transfers_);
}

}  // namespace tern
