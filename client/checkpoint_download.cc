#include "client/checkpoint_download.h"

#include <optional>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/status_macros.h"
#include "client/reconnect.h"

namespace tern {
namespace {

// Damaged pieces and files in a row, with nothing good between, until it is no accident.
constexpr int kMaxDamaged = 3;

class Download {
 public:
  Download(ServiceClient* client, const std::string& job, absl::Duration give_up_after,
           DownloadFolder* folder, Cancellation* cancellation, DownloadListener* listener)
      : client_(client),
        job_(job),
        reconnect_(give_up_after),
        folder_(folder),
        cancellation_(cancellation),
        listener_(listener) {}

  absl::Status Run() {
    while (true) {
      TERN_RETURN_IF_ERROR(ReceiveAll());
      // A stream that ended well has sent everything, unless it was left to skip a file.
      if (!skipping_) return folder_->Complete();
    }
  }

 private:
  // Streams until the end or until a file is to be skipped.
  absl::Status ReceiveAll() {
    while (true) {
      skipping_ = false;
      damaged_here_ = false;
      v1::StreamCheckpointRequest request;
      request.set_name(job_);
      request.set_file_index(folder_->Next().file_index);
      request.set_offset(folder_->Next().offset);
      absl::Status status = client_->Stream(request, cancellation_,
                                            [this](const v1::StreamCheckpointResponse& piece) {
                                              absl::Status received = Receive(piece);
                                              damaged_here_ = absl::IsDataLoss(received);
                                              return received;
                                            });
      if (status.ok() || skipping_) return absl::OkStatus();
      if (cancellation_->cancelled()) return absl::CancelledError("the download was stopped");
      const bool damaged = damaged_here_ && absl::IsDataLoss(status) && ++damaged_ < kMaxDamaged;
      if (!damaged && !Reconnect::MayPass(status)) return status;
      const std::optional<absl::Duration> delay = reconnect_.NextDelay(absl::Now());
      if (!delay) return status;
      listener_->OnDownloadInterrupted(status, *delay);
      if (cancellation_->WaitFor(*delay)) return absl::CancelledError("the download was stopped");
    }
  }

  absl::Status Receive(const v1::StreamCheckpointResponse& piece) {
    const v1::CheckpointFile& file = piece.file();
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(piece.data().data()),
                                         piece.data().size());
    if (Crc32c(bytes) != piece.crc32c()) {
      return absl::DataLossError(absl::StrCat(file.path(), ": the piece at byte ", piece.offset(),
                                              " arrived with a wrong CRC32C"));
    }
    TERN_ASSIGN_OR_RETURN(const bool held, folder_->Holds(file));
    const int64_t end = piece.offset() + static_cast<int64_t>(bytes.size());
    if (held) {
      if (end == file.size_bytes()) return absl::OkStatus();
      skipping_ = true;
      return absl::CancelledError("the file is here already");
    }
    TERN_RETURN_IF_ERROR(folder_->Append(file, piece.offset(), bytes));
    reconnect_.Succeeded();
    listener_->OnBytesReceived(static_cast<int64_t>(bytes.size()));
    if (end == file.size_bytes()) {
      damaged_ = 0;
      listener_->OnFileReceived(file);
    }
    return absl::OkStatus();
  }

  ServiceClient* client_;
  const std::string job_;
  Reconnect reconnect_;
  DownloadFolder* folder_;
  Cancellation* cancellation_;
  DownloadListener* listener_;
  bool skipping_ = false;
  bool damaged_here_ = false;
  int damaged_ = 0;
};

}  // namespace

absl::Status DownloadCheckpoint(ServiceClient* client, const std::string& job,
                                absl::Duration give_up_after, DownloadFolder* folder,
                                Cancellation* cancellation, DownloadListener* listener) {
  return Download(client, job, give_up_after, folder, cancellation, listener).Run();
}

}  // namespace tern
