#include "server/jobs/uploads.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/path_rules.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "proto/service/job_inputs.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/random_id.h"

namespace tern {
namespace {

constexpr size_t kMaxUploadPathBytes = 128;

bool IsServersOwn(absl::string_view path) {
  return path == kReportFile || path == kManifestFile || path == kModelCardFile ||
         path == kActivationBitsFile;
}

// The one file that goes elsewhere than into the checkpoint: that of the task "rotate/3".
bool IsRotationsOf(absl::string_view task, absl::string_view path) {
  int32_t block = 0;
  return absl::ConsumePrefix(&task, "rotate/") && absl::SimpleAtoi(task, &block) &&
         path == RotationsFile(block);
}

absl::Status CheckHeader(const worker::v1::WriteBlobRequest::Header& header,
                         const LeaseKey& lease) {
  const std::string& path = header.path();
  const bool is_rotations = IsRotationsOf(lease.task, path);
  if (!is_rotations && absl::StartsWith(lease.task, "rotate/")) {
    return InvalidField("header.path",
                        absl::StrCat("\"", path, "\" is not the file of task ", lease.task));
  }
  if (!(is_rotations || IsPlainFileName(path)) || !IsValidBlobKey(path) ||
      path.size() > kMaxUploadPathBytes) {
    return InvalidField("header.path", absl::StrCat("\"", path, "\" is not a plain file name"));
  }
  if (IsServersOwn(path)) {
    return InvalidField("header.path", absl::StrCat(path, " is written by the server"));
  }
  if (header.size_bytes() < 0) return InvalidField("header.size_bytes", "must not be negative");
  return absl::OkStatus();
}

absl::Status CheckRoom(const JobsContext& context, int64_t bytes) {
  TERN_ASSIGN_OR_RETURN(const int64_t free, context.blobs.FreeBytes());
  if (bytes <= free - context.options.reserved_free_bytes) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "the server's disk has ", free, " bytes left, of which ",
          context.options.reserved_free_bytes, " are kept free; the file needs ", bytes)),
      "DISK_FULL");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Upload>> Upload::Begin(
    const JobsContext& context, const worker::v1::WriteBlobRequest::Header& header) {
  TERN_ASSIGN_OR_RETURN(const LeaseKey lease, ParseLease(header.lease(), "header.lease"));
  TERN_RETURN_IF_ERROR(CheckHeader(header, lease));
  std::unique_ptr<Upload> upload(new Upload(context, header, lease));
  TERN_RETURN_IF_ERROR(upload->RefuseIfStale(
      context.store.Read([&](StoreReader& reader) { return upload->CheckMayWrite(reader); })));
  TERN_RETURN_IF_ERROR(CheckRoom(context, header.size_bytes()));
  TERN_ASSIGN_OR_RETURN(upload->writer_, context.blobs.Write(upload->blob_key_));
  return upload;
}

Upload::Upload(const JobsContext& context, worker::v1::WriteBlobRequest::Header header,
               LeaseKey lease)
    : context_(context),
      header_(std::move(header)),
      lease_(std::move(lease)),
      blob_key_(
          UploadKey(lease_.job_uid, lease_.task, lease_.epoch, RandomHex(16), header_.path())) {}

absl::Status Upload::CheckMayWrite(StoreReader& reader) const {
  TERN_RETURN_IF_ERROR(GetLeasedTask(reader, lease_).status());
  TERN_ASSIGN_OR_RETURN(const std::optional<FileRecord> other,
                        reader.GetFile(lease_.job_uid, header_.path()));
  if (!other.has_value()) return absl::OkStatus();
  return InvalidField("header.path",
                      absl::StrCat(header_.path(), " was already committed by another task"));
}

absl::Status Upload::RefuseIfStale(absl::Status status) const {
  if (IsStaleLease(status)) ObserveStaleWrite(context_, lease_, "upload");
  return status;
}

absl::Status Upload::Append(std::span<const uint8_t> bytes) {
  received_ += static_cast<int64_t>(bytes.size());
  if (received_ > header_.size_bytes()) {
    return InvalidField("piece.data",
                        absl::StrCat("more than the announced ", header_.size_bytes(), " bytes"));
  }
  sha256_.Update(bytes);
  return writer_->Append(bytes);
}

absl::Status Upload::Commit() {
  if (received_ != header_.size_bytes()) {
    return InvalidField("header.size_bytes",
                        absl::StrCat(header_.path(), ": ", received_, " bytes came of the ",
                                     header_.size_bytes(), " announced"));
  }
  const std::string sha256 = sha256_.HexDigest();
  if (sha256 != header_.sha256()) {
    return WithReason(absl::DataLossError(absl::StrCat(header_.path(), ": the bytes' SHA-256 is ",
                                                       sha256, ", not the announced ",
                                                       header_.sha256(), "; send it again")),
                      "DIGEST_MISMATCH");
  }
  TERN_RETURN_IF_ERROR(writer_->Commit());

  // The file that this one replaces, or this one when the lease has ended meanwhile.
  std::string obsolete = blob_key_;
  absl::Status status = context_.store.Transact([&](Transaction& transaction) -> absl::Status {
    obsolete = blob_key_;
    TERN_RETURN_IF_ERROR(CheckMayWrite(transaction));
    TERN_ASSIGN_OR_RETURN(const std::vector<StagedFileRecord> staged,
                          transaction.ListStagedFiles(lease_.job_uid, lease_.task));
    std::string replaced;
    for (const StagedFileRecord& file : staged) {
      if (file.path == header_.path()) replaced = file.blob_key;
    }
    TERN_RETURN_IF_ERROR(transaction.PutStagedFile({.job_uid = lease_.job_uid,
                                                    .task = lease_.task,
                                                    .epoch = lease_.epoch,
                                                    .path = header_.path(),
                                                    .blob_key = blob_key_,
                                                    .size = received_,
                                                    .sha256 = sha256}));
    obsolete = replaced;
    return absl::OkStatus();
  });
  if (!status.ok()) obsolete = blob_key_;
  if (!obsolete.empty()) {
    if (absl::Status deleted = context_.blobs.Delete(obsolete); !deleted.ok()) {
      context_.observer.Problem("delete an obsolete upload", deleted);
    }
  }
  return RefuseIfStale(std::move(status));
}

}  // namespace tern
