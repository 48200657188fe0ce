#include "server/api/checkpoint_source.h"

#include <algorithm>
#include <utility>

#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"

namespace tern {

absl::StatusOr<StreamStep> CheckpointSource::Pull(v1::StreamCheckpointResponse& response,
                                                  const std::function<void()>& wake) {
  if (job_uid_.empty()) TERN_RETURN_IF_ERROR(Start());
  while (!pieces_.has_value() || pieces_->done()) {
    change_ = jobs_.job_signal().Once(job_uid_, wake);
    TERN_ASSIGN_OR_RETURN(NextFile next, OpenNextFile(jobs_.context(), job_uid_, next_index_));
    if (next.file.has_value()) {
      TERN_RETURN_IF_ERROR(Open(*std::move(next.file)));
    } else {
      return next.ended ? StreamStep::End() : StreamStep::Wait();
    }
  }

  int64_t offset = 0;
  TERN_RETURN_IF_ERROR(pieces_->Next(offset, *response.mutable_data()));
  const OpenFile& file = pieces_->file();
  response.mutable_file()->set_index(file.index);
  response.mutable_file()->set_path(file.path);
  response.mutable_file()->set_size_bytes(file.size);
  response.mutable_file()->set_sha256(file.sha256);
  response.set_offset(offset);
  response.set_crc32c(PieceCrc32c(response.data()));
  transfers_.CountSent(static_cast<int64_t>(response.data().size()));
  return StreamStep::Send();
}

absl::Status CheckpointSource::Start() {
  if (request_.file_index() < 0) return InvalidField("file_index", "must not be negative");
  if (request_.offset() < 0) return InvalidField("offset", "must not be negative");
  if (request_.offset() > 0 && request_.file_index() == 0) {
    return InvalidField("offset", "needs file_index to say which file it is in");
  }
  TERN_ASSIGN_OR_RETURN(auto snapshot, jobs_.operations().GetSnapshot(request_.name()));
  job_uid_ = std::move(snapshot.uid);
  next_index_ = std::max<int64_t>(request_.file_index(), 1);
  return absl::OkStatus();
}

absl::Status CheckpointSource::Open(OpenFile file) {
  const int64_t offset = file.index == request_.file_index() ? request_.offset() : 0;
  TERN_RETURN_IF_ERROR(CheckOffset(file, offset));
  next_index_ = file.index + 1;
  pieces_.emplace(std::move(file), offset);
  return absl::OkStatus();
}

}  // namespace tern
