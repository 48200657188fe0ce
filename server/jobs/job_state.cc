#include "server/jobs/job_state.h"

#include <string>

#include "checkpoint/status_macros.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/events.h"
#include "server/jobs/job_view.h"

namespace tern {
namespace {

// `error` is the message of a job that fails.
absl::Status EnterState(const JobsContext& context, Transaction& transaction, JobRecord& job,
                        JobState state, const std::string& error, absl::Time now,
                        AfterCommit& after) {
  job.state = state;
  if (state == JobState::kRunning) job.start_time = now;
  if (IsTerminal(state)) {
    job.end_time = now;
    after.Observe([name = NameOf(job), state, error](JobsObserver& observer) {
      observer.JobEnded(name, state, error);
    });
  }
  after.NotifyJob(job.uid);
  v1::JobEvent event;
  event.mutable_state_changed()->set_state(static_cast<v1::QuantizationJob::State>(state));
  return AppendEvent(transaction, job, std::move(event), now, context.options.events_kept);
}

}  // namespace

absl::Status ChangeState(const JobsContext& context, Transaction& transaction, JobRecord& job,
                         JobState state, absl::Time now, AfterCommit& after) {
  return EnterState(context, transaction, job, state, /*error=*/"", now, after);
}

absl::Status EndWithoutCheckpoint(const JobsContext& context, Transaction& transaction,
                                  JobRecord& job, JobState state,
                                  const std::optional<google::rpc::Status>& error, absl::Time now,
                                  AfterCommit& after) {
  absl::StatusOr<v1::QuantizationJob> document = ReadDocument(job);
  // A job whose document is damaged must end too: it goes on with what its row says.
  const bool damaged = !document.ok();
  if (damaged) document = v1::QuantizationJob();
  if (error.has_value()) *document->mutable_error() = *error;
  if (damaged || error.has_value()) job.document = document->SerializeAsString();
  TERN_RETURN_IF_ERROR(transaction.DropTasks(job.uid));
  TERN_RETURN_IF_ERROR(transaction.DeleteStagedFiles(job.uid, /*task=*/""));
  TERN_RETURN_IF_ERROR(transaction.DeleteFiles(job.uid));
  TERN_RETURN_IF_ERROR(EnterState(context, transaction, job, state,
                                  error.has_value() ? error->message() : "", now, after));
  after.DeleteJobBlobs(JobPrefix(job.uid));
  return transaction.UpdateJob(job);
}

}  // namespace tern
