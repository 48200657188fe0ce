#include "server/api/blob_source.h"

#include <utility>

#include "checkpoint/status_macros.h"

namespace tern {

absl::StatusOr<StreamStep> BlobSource::Pull(worker::v1::ReadBlobResponse& response,
                                            const std::function<void()>& /*wake*/) {
  if (!pieces_.has_value()) {
    TERN_ASSIGN_OR_RETURN(OpenFile file,
                          OpenJobFile(jobs_.context(), request_.job_uid(), request_.path()));
    TERN_RETURN_IF_ERROR(CheckOffset(file, request_.offset()));
    pieces_.emplace(std::move(file), request_.offset());
  }
  if (pieces_->done()) return StreamStep::End();

  int64_t offset = 0;
  TERN_RETURN_IF_ERROR(pieces_->Next(offset, *response.mutable_data()));
  response.set_offset(offset);
  response.set_crc32c(PieceCrc32c(response.data()));
  response.set_size_bytes(pieces_->file().size);
  response.set_sha256(pieces_->file().sha256);
  transfers_.CountSent(static_cast<int64_t>(response.data().size()));
  return StreamStep::Send();
}

}  // namespace tern
