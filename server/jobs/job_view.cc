#include "server/jobs/job_view.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/job_names.h"
#include "server/jobs/progress.h"
#include "server/jobs/timestamps.h"
#include "server/jobs/worker_shortage.h"

namespace tern {

std::string NameOf(const JobRecord& job) { return FormatJobName(job.name_space, job.id); }

absl::StatusOr<v1::QuantizationJob> ReadDocument(const JobRecord& job) {
  v1::QuantizationJob document;
  if (!document.ParseFromString(job.document)) {
    return absl::DataLossError(absl::StrCat(NameOf(job), ": its stored document does not parse"));
  }
  return document;
}

absl::StatusOr<v1::Progress> ViewProgress(const JobsContext& context, const JobRecord& job) {
  v1::Progress progress =
      ComputeProgress(job, context.workers.ActiveOn(job.uid), context.clock.Now());
  if (IsTerminal(job.state) || progress.active_size() > 0 || !context.workers.IsComplete()) {
    return progress;
  }
  std::optional<v1::WorkerShortage> shortage;
  TERN_RETURN_IF_ERROR(context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(shortage, FindShortage(reader, job, context.workers.List()));
    return absl::OkStatus();
  }));
  if (shortage.has_value()) {
    *progress.mutable_shortage() = *std::move(shortage);
    progress.clear_eta();
  }
  return progress;
}

absl::Status AddRow(const JobsContext& context, const JobRecord& job, v1::QuantizationJob& view) {
  view.set_name(NameOf(job));
  view.set_state(static_cast<v1::QuantizationJob::State>(job.state));
  *view.mutable_create_time() = ToTimestamp(job.create_time);
  if (job.start_time != absl::InfinitePast()) {
    *view.mutable_start_time() = ToTimestamp(job.start_time);
  }
  if (job.end_time != absl::InfinitePast()) *view.mutable_end_time() = ToTimestamp(job.end_time);
  TERN_ASSIGN_OR_RETURN(*view.mutable_progress(), ViewProgress(context, job));
  return absl::OkStatus();
}

absl::StatusOr<v1::QuantizationJob> ViewJob(const JobsContext& context, const JobRecord& job) {
  TERN_ASSIGN_OR_RETURN(v1::QuantizationJob view, ReadDocument(job));
  TERN_RETURN_IF_ERROR(AddRow(context, job, view));
  return view;
}

}  // namespace tern
