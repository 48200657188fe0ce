#include "server/api/upload_call.h"

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/chunks.h"
#include "proto/service/error_details.h"
#include "proto/service/rpc_status.h"
#include "server/api/exception_barrier.h"
#include "server/api/file_pieces.h"

namespace tern {

UploadCall::UploadCall(grpc::CallbackServerContext* context, Executor& executor, JobSystem& jobs,
                       TransferMetrics& transfers)
    : context_(context), executor_(executor), jobs_(jobs), transfers_(transfers) {
  StartRead(&message_);
}

void UploadCall::OnReadDone(bool ok) {
  executor_.Run([this, ok] { Process(ok); });
}

void UploadCall::Process(bool message) {
  const absl::Status status = CatchExceptions([&] { return message ? Take(message_) : Commit(); });
  if (message && status.ok()) {
    StartRead(&message_);
    return;
  }
  upload_ = nullptr;
  Finish(ToGrpcStatus(status));
}

absl::Status UploadCall::Take(const worker::v1::WriteBlobRequest& message) {
  if (upload_ == nullptr) {
    if (!message.has_header()) return InvalidField("header", "must be the first message");
    TERN_ASSIGN_OR_RETURN(upload_, Upload::Begin(jobs_.context(), message.header()));
    return absl::OkStatus();
  }
  if (!message.has_piece()) return InvalidField("piece", "must follow the header");
  const std::string& data = message.piece().data();
  if (static_cast<int64_t>(data.size()) > kChunkBytes) {
    return InvalidField("piece.data",
                        absl::StrCat(data.size(), " bytes; at most ", kChunkBytes, " are taken"));
  }
  if (PieceCrc32c(data) != message.piece().crc32c()) {
    return WithReason(absl::DataLossError(absl::StrCat("the piece at byte ", upload_->received(),
                                                       " does not fit its CRC32C: send it again")),
                      "CHECKSUM_MISMATCH");
  }
  TERN_RETURN_IF_ERROR(
      upload_->Append({reinterpret_cast<const uint8_t*>(data.data()), data.size()}));
  transfers_.CountReceived(static_cast<int64_t>(data.size()));
  return absl::OkStatus();
}

absl::Status UploadCall::Commit() {
  if (context_->IsCancelled()) return absl::CancelledError("the worker has gone");
  if (upload_ == nullptr) return InvalidField("header", "must be the first message");
  return upload_->Commit();
}

}  // namespace tern
