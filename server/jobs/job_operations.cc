#include "server/jobs/job_operations.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/job_filter.h"
#include "server/jobs/job_lookup.h"
#include "server/jobs/job_names.h"
#include "server/jobs/job_state.h"
#include "server/jobs/job_view.h"
#include "server/jobs/page_token.h"

namespace tern {
namespace {

constexpr int32_t kDefaultPage = 50;
constexpr int32_t kLargestPage = 1000;
// Jobs that have ended carry their reports. A page ends once it has this many bytes, so that with
// one job more it stays below the 4 MiB that gRPC's clients take.
constexpr size_t kPageBytes = size_t{3} << 20;
constexpr int32_t kRowsAtATime = 50;

absl::StatusOr<JobRecord> Lookup(const JobsContext& context, absl::string_view name) {
  JobRecord job;
  TERN_RETURN_IF_ERROR(context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(job, GetJobByName(reader, name));
    return absl::OkStatus();
  }));
  return job;
}

// The jobs of a page and, where there are more, the next one.
absl::Status ReadRows(StoreReader& reader, JobQuery query, int32_t page_size,
                      std::vector<JobRecord>& jobs) {
  jobs.clear();
  size_t bytes = 0;
  while (static_cast<int32_t>(jobs.size()) <= page_size && bytes <= kPageBytes) {
    query.limit = std::min(kRowsAtATime, page_size + 1 - static_cast<int32_t>(jobs.size()));
    TERN_ASSIGN_OR_RETURN(std::vector<JobRecord> rows, reader.ListJobs(query));
    for (JobRecord& row : rows) {
      query.before_number = row.number;
      bytes += row.document.size();
      jobs.push_back(std::move(row));
    }
    if (static_cast<int32_t>(rows.size()) < query.limit) break;
  }
  return absl::OkStatus();
}

// One job that is damaged must not hide the others.
absl::StatusOr<v1::QuantizationJob> ListedJob(const JobsContext& context, const JobRecord& job) {
  absl::StatusOr<v1::QuantizationJob> view = ReadDocument(job);
  if (!view.ok()) {
    v1::QuantizationJob damaged;
    *damaged.mutable_error() = ToProto(view.status());
    view = std::move(damaged);
  }
  TERN_RETURN_IF_ERROR(AddRow(context, job, *view));
  return view;
}

}  // namespace

absl::StatusOr<v1::QuantizationJob> JobOperations::Get(absl::string_view name) {
  TERN_ASSIGN_OR_RETURN(const JobRecord job, Lookup(context_, name));
  return ViewJob(context_, job);
}

absl::StatusOr<JobOperations::Snapshot> JobOperations::GetSnapshot(absl::string_view name) {
  TERN_ASSIGN_OR_RETURN(const JobRecord job, Lookup(context_, name));
  Snapshot snapshot;
  TERN_ASSIGN_OR_RETURN(snapshot.job, ViewJob(context_, job));
  snapshot.sequence = job.last_sequence;
  snapshot.uid = job.uid;
  return snapshot;
}

absl::StatusOr<v1::Progress> JobOperations::GetProgress(absl::string_view name) {
  TERN_ASSIGN_OR_RETURN(const JobRecord job, Lookup(context_, name));
  return ViewProgress(context_, job);
}

absl::StatusOr<v1::ListQuantizationJobsResponse> JobOperations::List(
    const v1::ListQuantizationJobsRequest& request) {
  TERN_ASSIGN_OR_RETURN(const std::string name_space,
                        ParseParent(request.parent(), /*wildcard=*/true));
  if (request.page_size() < 0 || request.page_size() > kLargestPage) {
    return InvalidField("page_size",
                        absl::StrCat("must be 0 (for ", kDefaultPage, ") to ", kLargestPage));
  }
  const int32_t page_size = request.page_size() > 0 ? request.page_size() : kDefaultPage;
  TERN_ASSIGN_OR_RETURN(JobQuery query, ParseJobFilter(request.filter()));
  if (name_space != "-") query.name_space = name_space;
  if (!request.page_token().empty()) {
    TERN_ASSIGN_OR_RETURN(query.before_number,
                          ReadPageToken(request.page_token(), name_space, request.filter()));
  }

  std::vector<JobRecord> jobs;
  TERN_RETURN_IF_ERROR(context_.store.Read(
      [&](StoreReader& reader) { return ReadRows(reader, query, page_size, jobs); }));
  v1::ListQuantizationJobsResponse response;
  size_t bytes = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (response.quantization_jobs_size() == page_size || bytes > kPageBytes) {
      response.set_next_page_token(MakePageToken(jobs[i - 1].number, name_space, request.filter()));
      break;
    }
    TERN_ASSIGN_OR_RETURN(*response.add_quantization_jobs(), ListedJob(context_, jobs[i]));
    bytes += response.quantization_jobs().rbegin()->ByteSizeLong();
  }
  return response;
}

absl::StatusOr<v1::QuantizationJob> JobOperations::Cancel(absl::string_view name) {
  AfterCommit after;
  JobRecord job;
  TERN_RETURN_IF_ERROR(context_.store.Transact([&](Transaction& transaction) -> absl::Status {
    after = AfterCommit();
    TERN_ASSIGN_OR_RETURN(job, GetJobByName(transaction, name));
    if (job.state == JobState::kCancelled) return absl::OkStatus();
    if (IsTerminal(job.state)) {
      return WithReason(
          absl::FailedPreconditionError(absl::StrCat(
              "job ", name, " has ", job.state == JobState::kSucceeded ? "succeeded" : "failed",
              " and can no longer be cancelled")),
          "JOB_ENDED");
    }
    return EndWithoutCheckpoint(context_, transaction, job, JobState::kCancelled,
                                /*error=*/std::nullopt, context_.clock.Now(), after);
  }));
  after.Run(context_);
  return ViewJob(context_, job);
}

absl::Status JobOperations::Delete(absl::string_view name) {
  AfterCommit after;
  TERN_RETURN_IF_ERROR(context_.store.Transact([&](Transaction& transaction) -> absl::Status {
    after = AfterCommit();
    TERN_ASSIGN_OR_RETURN(const JobRecord job, GetJobByName(transaction, name));
    if (!IsTerminal(job.state)) {
      return WithReason(absl::FailedPreconditionError(
                            absl::StrCat("job ", name, " has not ended; cancel it first")),
                        "JOB_ACTIVE");
    }
    after.NotifyJob(job.uid);
    after.DeleteJobBlobs(JobPrefix(job.uid));
    return transaction.DeleteJob(job.uid);
  }));
  after.Run(context_);
  return absl::OkStatus();
}

absl::StatusOr<std::map<JobState, int64_t>> JobOperations::CountJobs() {
  std::map<JobState, int64_t> counts;
  TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(counts, reader.CountJobs());
    return absl::OkStatus();
  }));
  for (const JobState state : {JobState::kPending, JobState::kRunning, JobState::kSucceeded,
                               JobState::kFailed, JobState::kCancelled}) {
    counts.try_emplace(state, 0);
  }
  return counts;
}

absl::StatusOr<TaskCounts> JobOperations::CountTasks() {
  TaskCounts counts;
  TERN_RETURN_IF_ERROR(context_.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(counts, reader.CountTasks());
    return absl::OkStatus();
  }));
  return counts;
}

}  // namespace tern
