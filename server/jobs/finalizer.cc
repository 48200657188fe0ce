#include "server/jobs/finalizer.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/manifest.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/activation_bits_svg.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/file_commit.h"
#include "server/jobs/job_lookup.h"
#include "server/jobs/job_report.h"
#include "server/jobs/job_state.h"
#include "server/jobs/job_view.h"
#include "server/jobs/random_id.h"

namespace tern {
namespace {

constexpr int32_t kAllFiles = 1 << 30;

struct DoneJob {
  JobRecord job;
  std::vector<TaskRecord> tasks;
  std::vector<FileRecord> files;  // inputs and rotations included
};

bool IsDone(const JobRecord& job) {
  return job.state == JobState::kRunning && job.tasks_done == job.tasks_total;
}

// A file's path and what is in it.
using Content = std::pair<std::string, std::string>;

std::string MakeManifest(const std::vector<FileRecord>& files, const std::vector<Content>& own) {
  std::map<std::string, FileDigest> manifest;
  for (const FileRecord& file : files) {
    if (file.index > 0) manifest[file.path] = {file.size, file.sha256};
  }
  for (const auto& [path, content] : own) {
    manifest[path] = {static_cast<int64_t>(content.size()), Sha256Hex(content)};
  }
  return ManifestJson(manifest);
}

absl::StatusOr<FileRecord> WriteBlob(const JobsContext& context, const std::string& uid,
                                     const std::string& writing, const std::string& path,
                                     const std::string& content) {
  const FileRecord record = {.job_uid = uid,
                             .path = path,
                             .index = 0,
                             .blob_key = ReportKey(uid, writing, path),
                             .size = static_cast<int64_t>(content.size()),
                             .sha256 = Sha256Hex(content)};
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer,
                        context.blobs.Write(record.blob_key));
  TERN_RETURN_IF_ERROR(
      writer->Append({reinterpret_cast<const uint8_t*>(content.data()), content.size()}));
  TERN_RETURN_IF_ERROR(writer->Commit());
  return record;
}

// The server's own files, in the order in which they are committed: the report last, as the sign
// that all is there.
absl::StatusOr<std::vector<FileRecord>> WriteReport(const JobsContext& context, const DoneJob& done,
                                                    const v1::JobReport& report,
                                                    const std::string& writing) {
  TERN_ASSIGN_OR_RETURN(const std::string report_json, ReportJson(report));
  std::vector<Content> contents = {{kModelCardFile, ModelCard(report)}};
  if (report.activation_bits().has_beta()) {
    contents.emplace_back(kActivationBitsFile, ActivationBitsSvg(report.activation_bits()));
  }
  contents.emplace_back(kManifestFile, MakeManifest(done.files, contents));
  contents.emplace_back(kReportFile, report_json);
  std::vector<FileRecord> files;
  for (const auto& [path, content] : contents) {
    TERN_ASSIGN_OR_RETURN(FileRecord file,
                          WriteBlob(context, done.job.uid, writing, path, content));
    files.push_back(std::move(file));
  }
  return files;
}

absl::Status Succeed(const JobsContext& context, Transaction& transaction, JobRecord& job,
                     const std::vector<FileRecord>& made, const v1::JobReport& report,
                     absl::Time now, AfterCommit& after) {
  for (const FileRecord& file : made) {
    TERN_RETURN_IF_ERROR(CommitFile(context, transaction, job, file, now));
  }
  // Inputs and rotations are no longer needed: their digests stay, and the factors in the blocks.
  TERN_ASSIGN_OR_RETURN(const std::vector<FileRecord> files,
                        transaction.ListFiles(job.uid, 0, kAllFiles));
  for (const FileRecord& file : files) {
    if (file.index > 0) break;
    TERN_RETURN_IF_ERROR(transaction.DeleteFile(job.uid, file.path));
    after.DeleteBlob(file.blob_key);
  }
  TERN_ASSIGN_OR_RETURN(v1::QuantizationJob document, ReadDocument(job));
  document.clear_activation_bits();
  *document.mutable_report() = report;
  job.document = document.SerializeAsString();
  TERN_RETURN_IF_ERROR(ChangeState(context, transaction, job, JobState::kSucceeded, now, after));
  return transaction.UpdateJob(job);
}

}  // namespace

void Finalizer::Finish(absl::string_view job_uid) {
  const absl::Status status = TryFinish(job_uid);
  {
    const absl::MutexLock lock(&mutex_);
    if (status.ok()) {
      unfinished_.erase(std::string(job_uid));
    } else {
      unfinished_.insert(std::string(job_uid));
    }
  }
  if (!status.ok()) context_.observer.Problem("finish a job", status);
}

void Finalizer::Retry() {
  std::set<std::string> unfinished;
  {
    const absl::MutexLock lock(&mutex_);
    unfinished = unfinished_;
  }
  for (const std::string& uid : unfinished) Finish(uid);
}

absl::Status Finalizer::TryFinish(absl::string_view job_uid) const {
  DoneJob done;
  bool is_done = false;
  TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const std::optional<JobRecord> job, reader.GetJob(job_uid));
    is_done = job.has_value() && IsDone(*job);
    if (!is_done) return absl::OkStatus();
    done.job = *job;
    TERN_ASSIGN_OR_RETURN(done.tasks, reader.ListTasks(job_uid));
    TERN_ASSIGN_OR_RETURN(done.files, reader.ListFiles(job_uid, 0, kAllFiles));
    return absl::OkStatus();
  }));
  if (!is_done) return absl::OkStatus();

  const absl::Time now = context_.clock.Now();
  const std::string writing = RandomHex(16);
  TERN_ASSIGN_OR_RETURN(const v1::JobReport report, MakeReport(done.job, done.tasks, now));
  absl::StatusOr<std::vector<FileRecord>> made = WriteReport(context_, done, report, writing);

  AfterCommit after;
  bool committed = false;
  absl::Status status = made.status();
  if (status.ok()) {
    status = context_.store.Transact([&](Transaction& transaction) -> absl::Status {
      after = AfterCommit();
      committed = false;
      TERN_ASSIGN_OR_RETURN(std::optional<JobRecord> job, transaction.GetJob(job_uid));
      if (!job.has_value() || !IsDone(*job)) return absl::OkStatus();
      committed = true;
      return Succeed(context_, transaction, *job, *made, report, now, after);
    });
  }
  if (!status.ok() || !committed) {
    // Another thread was first, the job was cancelled, or it failed: what was written is nobody's.
    const std::string prefix = absl::StrCat(JobPrefix(job_uid), "/report/", writing);
    if (absl::Status deleted = context_.blobs.DeletePrefix(prefix); status.ok()) status = deleted;
    return status;
  }
  after.Run(context_);
  return absl::OkStatus();
}

}  // namespace tern
