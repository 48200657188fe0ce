#include "server/jobs/job_files.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/job_lookup.h"
#include "server/jobs/job_view.h"

namespace tern {
namespace {

absl::StatusOr<OpenFile> Open(const JobsContext& context, const FileRecord& record) {
  OpenFile file;
  file.path = record.path;
  file.index = record.index;
  file.size = record.size;
  file.sha256 = record.sha256;
  TERN_ASSIGN_OR_RETURN(file.blob, context.blobs.Read(record.blob_key));
  if (file.blob->size() != record.size) {
    return absl::DataLossError(
        absl::StrCat(record.path, ": ", file.blob->size(), " bytes are stored of ", record.size));
  }
  return file;
}

absl::Status EndedWithout(const JobRecord& job) {
  const bool failed = job.state == JobState::kFailed;
  return WithReason(
      absl::AbortedError(absl::StrCat("job ", NameOf(job), " ", failed ? "failed" : "was cancelled",
                                      "; there is no checkpoint")),
      failed ? "JOB_FAILED" : "JOB_CANCELLED");
}

}  // namespace

absl::StatusOr<OpenFile> OpenJobFile(const JobsContext& context, absl::string_view job_uid,
                                     absl::string_view path) {
  FileRecord record;
  const absl::Status status = context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const JobRecord job, GetJobByUid(reader, job_uid));
    TERN_ASSIGN_OR_RETURN(std::optional<FileRecord> file, reader.GetFile(job_uid, path));
    if (!file.has_value()) {
      return WithReason(
          absl::NotFoundError(absl::StrCat("job ", NameOf(job), " has no file \"", path, "\"")),
          "FILE_NOT_FOUND");
    }
    record = *std::move(file);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return Open(context, record);
}

absl::StatusOr<NextFile> OpenNextFile(const JobsContext& context, absl::string_view job_uid,
                                      int64_t from_index) {
  if (from_index < 0) return InvalidField("file_index", "must not be negative");
  std::optional<FileRecord> record;
  NextFile next;
  TERN_RETURN_IF_ERROR(context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const JobRecord job, GetJobByUid(reader, job_uid));
    if (job.state == JobState::kFailed || job.state == JobState::kCancelled) {
      return EndedWithout(job);
    }
    // Index 0 is the job's inputs.
    TERN_ASSIGN_OR_RETURN(std::vector<FileRecord> files,
                          reader.ListFiles(job_uid, from_index > 0 ? from_index : 1, 1));
    if (!files.empty()) record = std::move(files.front());
    next.ended = files.empty() && job.state == JobState::kSucceeded;
    return absl::OkStatus();
  }));
  if (!record.has_value()) return next;

  absl::StatusOr<OpenFile> file = Open(context, *record);
  if (absl::IsNotFound(file.status())) {
    // The job ended, or was deleted, in between: say which. Otherwise the blob is lost.
    TERN_RETURN_IF_ERROR(context.store.Read([&](StoreReader& reader) -> absl::Status {
      TERN_ASSIGN_OR_RETURN(const JobRecord job, GetJobByUid(reader, job_uid));
      if (job.state == JobState::kFailed || job.state == JobState::kCancelled) {
        return EndedWithout(job);
      }
      return absl::DataLossError(absl::StrCat(record->path, ": its blob is missing"));
    }));
  }
  if (!file.ok()) return file.status();
  next.file = *std::move(file);
  return next;
}

}  // namespace tern
